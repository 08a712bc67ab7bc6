/** What a build or a download is given. */
export interface BuildContext {
  /** A folder of its own, thrown away unless the build succeeds; `work/` in it is always thrown away. */
  folder: string;
  /** One line for people. */
  progress(line: string): void;
  signal?: AbortSignal;
}

/** How the kernel is started where the machine's firmware does not do it: file names beside the disk. */
export interface DirectBoot {
  kernel: string;
  initrd: string;
  commandLine: string;
}

/** How to make one built-in image: leaves `root.qcow2` in the folder, and the files that `boot` names. */
export interface Recipe {
  name: string;
  /** Raised when the outcome should differ though the sources do not. */
  version: string;
  /** User to log in as. */
  user: string;
  /** Files and folders whose content decides the outcome: a change means a new image. */
  sources: string[];
  build(context: BuildContext): Promise<{ boot?: DirectBoot }>;
}
