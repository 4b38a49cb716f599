/** What a saga is handed: everything it needs, so that it reads nothing. Plain JSON; amounts in minor units. */

export interface SagaItem {
  sectionId: string;
  termId: string;
  courseId: string;
  credits: number;
  fee: { amount: number; currency: string } | null;
  materials: { materialId: string; quantity: number }[];
  /** Of a drop: the registration that had enrolled the student. */
  enrolledBy: string;
  /** Of a drop: the section was cancelled, so all of it is paid back. */
  sectionCancelled: boolean;
}

export interface EnrollInput {
  registrationId: string;
  studentId: string;
  /** Reserved adds. */
  items: SagaItem[];
  paymentMethod: string;
  buyMaterials: boolean;
  /** How long to go forward before undoing. */
  deadlineMs: number;
}

export interface DropInput {
  registrationId: string;
  studentId: string;
  /** Enrolled sections that were dropped. */
  items: SagaItem[];
  /** RFC 3339. */
  droppedAt: string;
}
