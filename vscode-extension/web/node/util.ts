/** What of `node:util` is used. */

/** ECMA-48: a string for the terminal (its title), a control sequence (a colour), a shorter escape. */
const sequences =
  /\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[ -/]*[0-~]/g;

export const stripVTControlCharacters = (text: string): string => text.replaceAll(sequences, '');
