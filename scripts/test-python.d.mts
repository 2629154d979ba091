export type PythonEnvironment = 'clients' | 'deploy';

export function findPython(name: PythonEnvironment): string | undefined;
export function installPython(python: string, name: PythonEnvironment): string | undefined;
