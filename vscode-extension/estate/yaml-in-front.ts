/** The YAML file that a command means where it is given none. */
import { type Disposable, type TextEditor, window } from 'vscode';

const isYaml = (editor: TextEditor | undefined): editor is TextEditor =>
  editor?.document.languageId === 'yaml';

let last: TextEditor | undefined;

/** Follows which one was in front last. */
export function followYaml(): Disposable {
  const follow = (editor: TextEditor | undefined): void => {
    if (isYaml(editor)) last = editor;
  };
  follow(window.activeTextEditor);
  return window.onDidChangeActiveTextEditor(follow);
}

/** The one in front. Where something that is no text is, as the walkthrough with its buttons or a panel, the last that was. */
export function yamlInFront(): TextEditor | undefined {
  const { activeTextEditor } = window;
  if (activeTextEditor !== undefined) return isYaml(activeTextEditor) ? activeTextEditor : undefined;
  return last?.document.isClosed === false ? last : undefined;
}
