/**
 * The port to whatever brings stored files to viewers. Called by the api for every answer that carries a `video_url`. It
 * makes links and never reads files; a link never shows a provider's address or a key of ours.
 */
export interface Cdn {
  /** A link to one file for that long, for anyone who has it. */
  linkTo(file: LinkedFile): Promise<string>;
}

export interface LinkedFile {
  readonly videoId: string;
  readonly fileId: string;
  /** The file's key in the store. */
  readonly fileKey: string;
  readonly expiresInSeconds: number;
  /** What a browser should call a saved copy, where the driver can say so. */
  readonly fileName: string;
}
