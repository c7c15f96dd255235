// SPDX-License-Identifier: Apache-2.0
// What has to be done to `before` so that it becomes `after`, as a JSON Patch (RFC 6902):
//
//     faasd deploy patch examples/node-json-patch
//     faasd invoke patch -d @examples/node-json-patch/event.json

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const escape = (key) => key.replace(/~/g, '~0').replace(/\//g, '~1'); // RFC 6901

function* compareObjects(before, after, path) {
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) yield { op: 'remove', path: `${path}/${escape(key)}` };
  for (const [key, value] of Object.entries(after)) {
    const at = `${path}/${escape(key)}`;
    if (Object.hasOwn(before, key)) yield* compare(before[key], value, at);
    else yield { op: 'add', path: at, value };
  }
}

// Element by element; what is left over at the end is removed from the back, so that no index moves.
function* compareArrays(before, after, path) {
  const shared = Math.min(before.length, after.length);
  for (let i = 0; i < shared; i++) yield* compare(before[i], after[i], `${path}/${i}`);
  for (let i = before.length - 1; i >= shared; i--) yield { op: 'remove', path: `${path}/${i}` };
  for (let i = shared; i < after.length; i++) yield { op: 'add', path: `${path}/-`, value: after[i] };
}

function* compare(before, after, path) {
  if (isObject(before) && isObject(after)) yield* compareObjects(before, after, path);
  else if (Array.isArray(before) && Array.isArray(after)) yield* compareArrays(before, after, path);
  else if (before !== after) yield { op: 'replace', path, value: after };
}

export const handler = async (event, context) => {
  if (!isObject(event) || !('before' in event) || !('after' in event)) throw new TypeError('send {"before": ..., "after": ...}');
  const patch = [...compare(event.before, event.after, '')];
  console.log('%d operations, %d ms left', patch.length, context.getRemainingTimeInMillis());
  return patch;
};
