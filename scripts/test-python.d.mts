export type PythonEnvironment = 'clients' | 'deploy' | 's3';

export function findPython(name: PythonEnvironment): string | undefined;
export function installPython(python: string, name: PythonEnvironment): string | undefined;
