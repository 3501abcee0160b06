// SPDX-License-Identifier: EUPL-1.2
// Headless Chromium, driven by playwright-core: opens URL and takes the steps of STEPS one by one. A step opens
// what is folded up, fills in fields by their names, keeps a picture of what is there in PICTURES (if any), and then presses the button with a
// text, follows a link, goes to a path, keeps in HOME what a link downloads, or does with the keyboard alone what `keys` says
// (a name of a key, a text to type, or after `→` what Tab is to come to: the name of an input, or what a link says).
// Prints as JSON where it came to at last, what the pages said, what of each is wider than there is room for it (but for
// what is made to be scrolled), and what the browser complained of. The window is WIDTH wide, and DARK where that is 1.
'use strict';

const path = require('node:path');
const { chromium } = require('playwright-core');

const { CHROMIUM, HOME, PICTURES, STEPS, URL: url, SCRIPTS, WIDTH, DARK } = process.env;
const PATIENCE = 90_000; // milliseconds for whatever takes one

function clipped() {
  const room = document.documentElement.clientWidth;
  const found = [];
  const aside = [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).clipPath !== 'none');
  for (const one of document.querySelectorAll('body, body *')) {
    if (one.closest('svg') || !one.checkVisibility({ visibilityProperty: true })) continue;
    const box = one.getBoundingClientRect();
    if (aside.some((hidden) => hidden.contains(one)) || box.right < 0) continue; // for readers of screens, or for the keyboard
    const scrolled = one.clientWidth && one.scrollWidth > one.clientWidth && !one.matches('.picture');
    if (scrolled || box.right > room + 0.5) found.push(`${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`);
  }
  return found;
}

function focused() {
  const one = document.activeElement;
  return one.name || one.getAttribute('aria-label') || one.textContent.trim();
}

async function main() {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    timeout: PATIENCE,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    javaScriptEnabled: SCRIPTS === '1',
    viewport: { width: Number(WIDTH), height: 720 },
    colorScheme: DARK === '1' ? 'dark' : 'light',
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const told = { pages: [], complaints: [] };
  page.on('console', (message) => message.type() === 'error' && told.complaints.push(message.text()));
  page.on('pageerror', (error) => told.complaints.push(String(error)));
  await page.goto(url);
  let number = 0;
  const look = async () => {
    number += 1;
    if (PICTURES) await page.screenshot({ path: path.join(PICTURES, `${number}.png`), fullPage: true });
    told.pages.push({
      title: await page.title(),
      text: await page.innerText('body'),
      url: page.url(),
      clipped: await page.evaluate(clipped),
    });
  };
  for (const { open, fill = {}, press, follow, download, go, keys = [] } of JSON.parse(STEPS)) {
    if (open) await page.getByText(open).click();
    for (const [name, value] of Object.entries(fill)) await page.fill(`[name="${name}"]`, value);
    await look();
    if (press) await page.getByRole('button', { name: press }).click();
    if (follow) await page.getByRole('link', { name: follow, exact: true }).first().click();
    if (download) {
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: download, exact: true }).click()]);
      await file.saveAs(path.join(HOME, file.suggestedFilename()));
    }
    if (go) await page.goto(new URL(go, url).href);
    for (const key of keys) {
      if (key.startsWith('→')) {
        for (let left = 300; left && (await page.evaluate(focused)) !== key.slice(1); left -= 1) await page.keyboard.press('Tab');
      } else if (key === 'Enter') await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
      else if (/^[A-Z]/.test(key)) await page.keyboard.press(key);
      else await page.keyboard.type(key);
    }
    await page.waitForLoadState();
  }
  await look();
  await browser.close();
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
