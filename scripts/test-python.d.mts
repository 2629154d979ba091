export function findPython(): string | undefined;
export function installPython(python: string): string | undefined;
