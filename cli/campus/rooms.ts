/** What a meeting needs from its room. */
export type Use = 'classroom' | 'computer-lab' | 'science-lab' | 'workshop' | 'art-studio' | 'music-studio';

export interface Room {
  name: string;
  use: Use;
  seats: number;
}

const rooms: Room[] = [
  ...room('classroom', 160, 'Alder Hall 100'),
  ...room('classroom', 120, 'Alder Hall 120', 'Cedar Hall 105'),
  ...room('classroom', 90, 'Birch Hall 101', 'Birch Hall 102'),
  ...room('classroom', 60, 'Birch Hall 210', 'Birch Hall 215', 'Cedar Hall 201'),
  ...room('classroom', 45, 'Cedar Hall 220', 'Cedar Hall 224', 'Linden Hall 110'),
  ...room('classroom', 35, 'Linden Hall 204', 'Linden Hall 206', 'Linden Hall 208'),
  ...room('classroom', 25, 'Maple House 1', 'Maple House 2', 'Maple House 3', 'Old Library 12', 'Old Library 14'),
  ...room('computer-lab', 60, 'Computing Center 101'),
  ...room('computer-lab', 48, 'Computing Center 110', 'Computing Center 112'),
  ...room('science-lab', 60, 'Science Center 120'),
  ...room('science-lab', 48, 'Science Center 201', 'Science Center 205', 'Science Center 301'),
  ...room('workshop', 36, 'Engineering Annex 1', 'Engineering Annex 2'),
  ...room('art-studio', 16, 'Weaver Arts Building 10', 'Weaver Arts Building 11'),
  ...room('music-studio', 12, 'Recital Hall B'),
];

function room(use: Use, seats: number, ...names: string[]): Room[] {
  return names.map((name) => ({ name, use, seats }));
}

/** Rooms in which so many people find what they need, the smallest first. */
export function roomsFor(use: Use, seats: number): Room[] {
  return rooms.filter((room) => room.use === use && room.seats >= seats).sort((a, b) => a.seats - b.seats);
}
