// Strokes and mask as one NIfTI file: what the correction models and the label store read.

const HEADER_BYTES = 352;

// For each voxel of the file its place in the drawing, which NiiVue keeps turned to right, anterior, superior.
export function* drawnVoxels(image, bitmap) {
  const [, width, height, depth] = image.hdr.dims;
  const sides = [width, height, depth], step = [0, 0, 0], first = [0, 0, 0];
  let stride = 1;
  for (const signed of image.permRAS) {
    const axis = Math.abs(signed) - 1;
    step[axis] = signed < 0 ? -stride : stride;
    first[axis] = signed < 0 ? stride * (sides[axis] - 1) : 0;
    stride *= sides[axis];
  }
  const origin = first[0] + first[1] + first[2];
  for (let z = 0, index = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      let place = origin + z * step[2] + y * step[1];
      for (let x = 0; x < width; x++, index++, place += step[0]) if (bitmap[place]) yield [index, bitmap[place]];
    }
  }
}
// The mask with the strokes laid over it: values[s] is what a stroke of pen s becomes. Nothing given is changed.
export function overlaid(image, mask, bitmap, values) {
  const [, width, height, depth] = image.hdr.dims;
  const voxels = mask ? Uint8Array.from(mask) : new Uint8Array(width * height * depth);
  let marked = 0;
  for (const [index, pen] of drawnVoxels(image, bitmap)) { voxels[index] = values[pen]; marked += 1; }
  return { voxels, marked };
}
export function countLabels(voxels, image) {
  const counts = [0, 0, 0, 0];
  for (const value of voxels) counts[value] += 1;
  const [, dx, dy, dz] = image.hdr.pixDims;
  return counts.map((count) => (count * Math.abs(dx * dy * dz)) / 1000);
}
// A label map (uint8, one byte a voxel, x fastest) on the grid of an image, NIfTI-1, packed where the browser can.
export async function niftiFile(image, voxels, name) {
  const bytes = new Uint8Array(HEADER_BYTES + voxels.length);
  const head = new DataView(bytes.buffer);
  head.setInt32(0, 348, true);
  [3, ...image.hdr.dims.slice(1, 4), 1, 1, 1, 1].forEach((side, i) => head.setInt16(40 + 2 * i, side, true));
  head.setInt16(70, 2, true); // unsigned bytes
  head.setInt16(72, 8, true);
  [1, ...image.hdr.pixDims.slice(1, 4).map(Math.abs), 0, 0, 0, 0].forEach((side, i) => head.setFloat32(76 + 4 * i, side, true));
  head.setFloat32(108, HEADER_BYTES, true);
  head.setFloat32(112, 1, true);
  head.setUint8(123, 2); // millimetres
  head.setInt16(254, 1, true); // the affine below is the scanner's
  image.hdr.affine.slice(0, 3).flat().forEach((value, i) => head.setFloat32(280 + 4 * i, value, true));
  bytes.set([0x6e, 0x2b, 0x31, 0], 344); // "n+1"
  bytes.set(voxels, HEADER_BYTES);
  if (!window.CompressionStream) return new File([bytes], `${name}.nii`);
  const packed = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).blob();
  return new File([packed], `${name}.nii.gz`);
}
