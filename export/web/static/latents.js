/** Latents as functions of a seed: the same numbers in every browser. */

/** Uniform numbers in (0, 1): MurmurHash3's last step, applied to a counter. */
function uniform(seed) {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let hash = counter;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash = (hash ^ (hash >>> 16)) >>> 0;
    return (hash + 0.5) / 2 ** 32;
  };
}

/**
 * `count` numbers of the standard normal distribution (Box and Muller), drawn again
 * until they lie within ±truncation. A truncation of 0 gives zeros.
 */
export function normal(seed, count, truncation = Infinity) {
  const values = new Float32Array(count);
  if (truncation <= 0) return values;
  const random = uniform(seed);
  // Resampling takes long for a narrow interval, where the density is flat anyway.
  const narrow = truncation < 0.25;
  for (let i = 0; i < count; i++) {
    let value;
    do {
      value = narrow
        ? (2 * random() - 1) * truncation
        : Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
    } while (Math.abs(value) > truncation);
    values[i] = value;
  }
  return values;
}

/**
 * The point at `position` in [0, 1] on the way from `a` to `b` along the sphere:
 * a straight line would pass nearer to 0 than any latent that the generator knows.
 */
export function between(a, b, position) {
  let dot = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  const cosine = aa && bb ? Math.max(-1, Math.min(1, dot / Math.sqrt(aa * bb))) : 1;
  const angle = Math.acos(cosine);
  const straight = Math.sin(angle) < 1e-6;
  const from = straight ? 1 - position : Math.sin((1 - position) * angle) / Math.sin(angle);
  const to = straight ? position : Math.sin(position * angle) / Math.sin(angle);
  return a.map((value, i) => from * value + to * b[i]);
}
