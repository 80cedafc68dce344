// Files as one plain tar archive (POSIX ustar). The blob only points to the files: nothing is read before it is sent.
const BLOCK = 512;
function header(name, size) {
  const block = new Uint8Array(BLOCK), encoder = new TextEncoder();
  const put = (text, offset) => block.set(encoder.encode(text), offset);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${size.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  put(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
export function tarOf(files) {
  const parts = files.flatMap((file, index) => [header(`${String(index + 1).padStart(6, "0")}.dcm`, file.size), file, new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK)]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}
