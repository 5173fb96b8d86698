/** The exported generator, run by LiteRT.js. */
import {loadAndCompile, loadLiteRt, Tensor} from './litert/core.js';

/** Loads page.json, the model and the runtime; throws an Error that a person can read. */
export async function load() {
  let page;
  const described = await (await fetched('page.json')).text();
  try {
    page = JSON.parse(described);
  } catch {
    throw new Error('The file page.json can\'t be read. Is it cut short?');
  }
  check(page);
  const content = new Uint8Array(await (await fetched(page.model)).arrayBuffer());
  try {
    await loadLiteRt('litert/litert_wasm_compat_internal.js');
  } catch (error) {
    throw new Error(`LiteRT.js can't start in this browser: ${error?.message ?? error}`);
  }
  let model;
  try {
    model = await loadAndCompile(content, {accelerator: 'wasm'});
  } catch (error) {
    throw new Error(
      `The model file ${page.model} can't be read. Is it cut short? (${error?.message ?? error})`);
  }
  return new Generator(page, model);
}

/** Throws an Error for what would take the tab down, or another server's file. */
function check(page) {
  const whole = (value, most) => Number.isInteger(value) && value >= 1 && value <= most;
  const list = (value, good) => Array.isArray(value) && value.every(good);
  const finite = (value) => Number.isFinite(value);
  const wanted = {
    model: (value) => typeof value === 'string' && /^\w[\w-]*\.tflite$/.test(value),
    file: (value) => typeof value === 'string',
    psnr: (value) => value === null || finite(value),
    latent_dim: (value) => whole(value, 2 ** 20),
    image_shape: (value) => list(value, (side) => whole(side, 8192)) &&
      value.length === 3 && [1, 3, 4].includes(value[2]) && value[0] * value[1] <= 2 ** 20,
    output_range: (value) => list(value, finite) && value.length === 2 && value[0] < value[1],
    batch_sizes: (value) => list(value, (size) => whole(size, 4096)) && value.length > 0,
    num_classes: (value) => value === null || whole(value, 100000),
    class_names: (value) => list(value, (name) => typeof name === 'string'),
  };
  for (const [key, good] of Object.entries(wanted)) {
    if (!good(page?.[key])) {
      throw new Error(`The file page.json is damaged: ${key} can't be ` +
        `${String(JSON.stringify(page?.[key])).slice(0, 80)}.`);
    }
  }
}

async function fetched(name) {
  let response;
  try {
    response = await fetch(name);
  } catch {
    throw new Error(
      `The file ${name} can't be loaded. Open this page from a web server, ` +
      'such as `python -m http.server`.');
  }
  if (!response.ok) {
    throw new Error(`The file ${name} is missing on the server (${response.status}).`);
  }
  return response;
}

class Generator {
  constructor(page, model) {
    this.page = page;
    this.model = model;
  }

  /**
   * Images in `output_range` for any number of latents, one after another in a Float32Array.
   * `labels` holds a class for each, and is left out for an unconditional generator.
   */
  async generate(latents, labels) {
    const {latent_dim: size, image_shape: shape, batch_sizes: batches} = this.page;
    const pixels = shape[0] * shape[1] * shape[2];
    const count = latents.length / size;
    const images = new Float32Array(count * pixels);
    for (let done = 0; done < count;) {
      const left = count - done;
      // The largest batch that is full, or else the smallest, filled up with zeros.
      const batch = batches.filter((n) => n <= left).pop() ?? batches[0];
      const used = Math.min(batch, left);
      const inputs = {latents: padded(latents, done * size, used * size, batch * size, Float32Array)};
      if (labels) inputs.labels = padded(labels, done, used, batch, Int32Array);
      const output = await this.run(batch, inputs);
      images.set(output.subarray(0, used * pixels), done * pixels);
      done += used;
    }
    return images;
  }

  async run(batch, arrays) {
    const inputs = {};
    const made = [];
    try {
      for (const [name, array] of Object.entries(arrays)) {
        const shape = name === 'latents' ? [batch, this.page.latent_dim] : [batch];
        made.push(inputs[name] = Tensor.fromTypedArray(array, shape));
      }
      const outputs = await this.model.run(`batch_${batch}`, inputs);
      made.push(...Object.values(outputs));
      return Float32Array.from(await outputs.images.data());
    } finally {
      made.forEach((tensor) => tensor.delete());
    }
  }
}

function padded(values, start, used, length, Type) {
  const array = new Type(length);
  array.set(values.subarray(start, start + used));
  return array;
}
