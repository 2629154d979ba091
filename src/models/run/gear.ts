/**
 * How an open model uses its mapped form. Cold: the weights as they are, open in milliseconds, but laid
 * out anew on every run. Hot: the weights as the kernels want them, mapped as well, but ONNX Runtime
 * lays them all out once on opening, to see that they are the same.
 */
export type Gear = 'cold' | 'hot';
