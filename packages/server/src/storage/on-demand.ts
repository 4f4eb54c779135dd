/**
 * `highWaterMark` of a stream that reads nothing ahead: it asks for the next piece when its reader does. A hundred copies at once
 * are a hundred chains of streams, and what each link holds ahead is their memory.
 */
export const onDemand = 0;
