import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executables = ['/usr/bin/chromium', '/usr/bin/google-chrome', '/usr/bin/chromium-browser'];

/**
 * Plays a video to its end in a page of another origin, as a customer's site would embed it.
 * @returns what the browser says about it
 * @throws Error when there is no Chromium, or when it does not play
 */
export async function playInChromium(url: string): Promise<{ width: number; height: number; seconds: number }> {
  const executablePath = executables.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error(`no Chromium at ${executables.join(', ')}`);
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required'],
  });
  try {
    const page = await browser.newPage();
    await page.setContent(`<video muted autoplay src="${url.replaceAll('&', '&amp;')}"></video>`);
    // In the page, where the types of the DOM are not known to this project.
    const played = await page.evaluate(`new Promise((resolve) => {
      const video = document.querySelector('video');
      const facts = () => ({ width: video.videoWidth, height: video.videoHeight, seconds: video.currentTime });
      video.playbackRate = 4;
      video.addEventListener('ended', () => resolve(facts()));
      video.addEventListener('error', () => resolve({ failure: video.error.message }));
      if (video.error) resolve({ failure: video.error.message });
      setTimeout(() => resolve({ failure: 'not at its end after 30 s', ...facts() }), 30000);
    })`);
    const result = played as { width: number; height: number; seconds: number; failure?: string }; // made above
    if (result.failure !== undefined) throw new Error(`Chromium did not play ${url}: ${JSON.stringify(result)}`);
    return result;
  } finally {
    await browser.close();
  }
}
