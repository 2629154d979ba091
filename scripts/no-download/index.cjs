// onnxruntime-node's install script downloads CUDA builds from outside the npm registry. npm 11 does not run it ("allowScripts" in
// package.json). npm 10 does, and the option that stops it is one that npm 11 warns of. The script begins by
// calling this function of the package "global-agent", which only it uses: "overrides" in package.json puts this file there.
exports.bootstrap = () => process.exit(0);
