/** The extension seen from inside VS Code's extension host: what it registers, and what its start takes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Editor } from './editor.ts';

interface Memory {
  heapMb: number;
  residentMb: number;
}

/** What `extension-host-probe.ts` found. */
export interface Probed {
  /** Whether the extension ran before anything asked for it. */
  activeBefore: boolean;
  /** Loading its code and its `activate`. */
  activationMs: number;
  /** The processor's time for it, of the whole extension host: what is left of `activationMs` on a machine that is busy. */
  activationCpuMs: number;
  /** From opening a policy to what is wrong with it, with the start of the language server. */
  firstDiagnosticMs: number;
  /** Where it runs: beside the files, in a window that is elsewhere? */
  remote: {
    /** The editor's name of the machine; absent where the window's is the same. */
    name?: string;
    isWorkspaceExtension: boolean;
    folderScheme: string;
    /** Of the process that the extension is in. */
    home: string;
  };
  /** The extension's commands that the editor knows. */
  commands: string[];
  diagnostics: string[];
  /** Of the extension host, which other extensions share. */
  memory: Record<'before' | 'activated' | 'used', Memory>;
  /** What the language model's tools answered; absent where there was no broker. */
  tools?: {
    names: string[];
    list: string;
    changed: string;
  };
}

/** What activation may take on an idle machine. */
export const aimMs = 200;

const policy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: eu-only}
spec:
  rules:
    - name: in-eu
      require: offer.jurisdicton == "eu"
`;

/**
 * Starts a VS Code of its own and looks once; `dataFolder` is a local broker's, whose tools are then used. Throws with what the host
 * said when the probe fails there.
 */
export async function probeExtensionHost(dataFolder?: string): Promise<Probed> {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-probe-'));
  let editor: Editor | undefined;
  try {
    const module = join(folder, 'probe.cjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'extension-host-probe.ts')],
      outfile: module,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['vscode'],
    });
    const said: string[] = [];
    const { promise: end, resolve: ended } = Promise.withResolvers<number>();
    editor = await Editor.open({
      files: { 'policy.txt': policy },
      ...(dataFolder && {
        env: { LANDFALL_DATA_DIR: dataFolder },
        // Without them there are no tools.
        settings: { 'chat.disableAIFeatures': false },
      }),
      probe: { module, said: (line) => said.push(line), ended },
    });
    const code = await end;
    if (code !== 0) throw new Error(`The probe ended with ${code}:\n${said.join('\n')}`);
    return JSON.parse(readFileSync(join(editor.folder, 'probed.json'), 'utf8')) as Probed;
  } finally {
    await editor?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The figures for a person. */
export function figures({ activationMs, activationCpuMs, firstDiagnosticMs, memory }: Probed): string {
  const { before, activated, used } = memory;
  return [
    `activation ${Math.round(activationMs)} ms, ${Math.round(activationCpuMs)} ms of the processor (aim: ${aimMs})`,
    `a policy's first diagnostic ${Math.round(firstDiagnosticMs)} ms after it is opened`,
    `extension host: heap ${before.heapMb.toFixed(1)} MB before, ${activated.heapMb.toFixed(1)} MB activated, ${used.heapMb.toFixed(1)} MB used`,
    `resident ${before.residentMb.toFixed(0)}, ${activated.residentMb.toFixed(0)}, ${used.residentMb.toFixed(0)} MB`,
  ].join('; ');
}
