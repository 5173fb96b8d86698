/** The page: what its controls do. */
import {load} from './generator.js';
import {between, normal} from './latents.js';

const ROWS = 4;
const COLUMNS = 4;
const element = (id) => document.getElementById(id);

/** Draws images, `columns` in a row, into a canvas of their size. */
function draw(canvas, images, page, columns) {
  const [height, width, channels] = page.image_shape;
  const [low, high] = page.output_range;
  const byte = (value) => (value - low) * (255 / (high - low));
  const count = images.length / (height * width * channels);
  canvas.width = columns * width;
  canvas.height = Math.ceil(count / columns) * height;
  const context = canvas.getContext('2d');
  const data = context.createImageData(canvas.width, canvas.height);
  for (let n = 0; n < count; n++) {
    const left = (n % columns) * width;
    const top = Math.floor(n / columns) * height;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = ((n * height + y) * width + x) * channels;
        const to = ((top + y) * canvas.width + left + x) * 4;
        for (let c = 0; c < 3; c++) {
          // The array rounds and clips, as the exported SavedModel does.
          data.data[to + c] = byte(images[from + (channels === 1 ? 0 : c)]);
        }
        data.data[to + 3] = channels === 4 ? byte(images[from + 3]) : 255;
      }
    }
  }
  context.putImageData(data, 0, 0);
}

function say(text, isError = false) {
  element('status').textContent = text;
  element('status').classList.toggle('error', isError);
}

function truncation() {
  const slider = element('truncation');
  return slider.value === slider.max ? Infinity : Number(slider.value);
}

/** Classes of `count` images: the chosen one, or each in turn. */
function labels(generator, count) {
  const classes = generator.page.num_classes;
  if (!classes) return undefined;
  const chosen = Number(element('class').value);
  return Int32Array.from({length: count}, (_, i) => chosen < 0 ? i % classes : chosen);
}

async function drawSamples(generator) {
  const count = ROWS * COLUMNS;
  const size = generator.page.latent_dim;
  const latents = normal(Number(element('seed').value), count * size, truncation());
  const start = performance.now();
  const images = await generator.generate(latents, labels(generator, count));
  const milliseconds = (performance.now() - start) / count;
  draw(element('samples'), images, generator.page, COLUMNS);
  say(`${milliseconds.toFixed(1)} ms per image, ${count} at a time`);
}

async function drawBetween(generator) {
  const size = generator.page.latent_dim;
  const [from, to] = ['from', 'to'].map(
    (id) => normal(Number(element(id).value), size, truncation()));
  const latents = between(from, to, Number(element('position').value) / 100);
  const images = await generator.generate(latents, labels(generator, 1));
  draw(element('between'), images, generator.page, 1);
}

/** Runs one drawing at a time; of those asked for meanwhile, only the last. */
function latest(action) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await action();
      }
    } catch (error) {
      say(`The generator failed: ${error?.message ?? error}`, true);
    } finally {
      running = false;
    }
  };
}

function save() {
  const link = document.createElement('a');
  link.download = `samples-${element('seed').value}.png`;
  link.href = element('samples').toDataURL('image/png');
  link.click();
}

function describe(page) {
  const [height, width] = page.image_shape;
  const psnr = page.psnr === null ? 'equal to' : `${page.psnr.toFixed(0)} dB PSNR against`;
  element('about').textContent =
    `${width} × ${height} pixels, drawn by this browser with ${page.file} ` +
    `(${psnr} the Keras model).`;
  if (!page.num_classes) return;
  const choices = [[-1, 'all in turn']];
  for (let i = 0; i < page.num_classes; i++) choices.push([i, page.class_names[i] ?? String(i)]);
  element('class').replaceChildren(...choices.map(([value, name]) => new Option(name, value)));
  element('class-label').hidden = false;
}

function listen(samples, way) {
  const both = () => { samples(); way(); };
  element('again').addEventListener('click', () => {
    element('seed').value = Math.floor(Math.random() * 4294967296);
    samples();
  });
  element('save').addEventListener('click', save);
  element('seed').addEventListener('input', samples);
  element('class').addEventListener('change', both);
  element('truncation').addEventListener('input', () => {
    const value = truncation();
    element('truncation-value').value = Number.isFinite(value) ? value.toFixed(2) : 'off';
    both();
  });
  for (const id of ['from', 'to']) element(id).addEventListener('input', way);
  element('position').addEventListener('input', () => {
    element('position-value').value = `${element('position').value} %`;
    way();
  });
}

/** Settles when the first images are drawn; gives the generator, or null. */
export const ready = (async () => {
  try {
    const generator = await load();
    describe(generator.page);
    const samples = latest(() => drawSamples(generator));
    const way = latest(() => drawBetween(generator));
    listen(samples, way);
    // The first run makes the runtime ready, and its time would mislead.
    await drawSamples(generator);
    await samples();
    await way();
    element('controls').disabled = false;
    element('between-controls').disabled = false;
    return generator;
  } catch (error) {
    say(error?.message ?? String(error), true);
    document.body.className = 'failed';
    return null;
  }
})();
