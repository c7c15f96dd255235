// SPDX-License-Identifier: Apache-2.0
// From "index.handler", "src/app.handler" or "index.api.handler" to the function that is called.
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { InitFailure } = require('./failure.cjs');

const CHECK_MS = 2000, CHECKED_MAX = 20; // when an ES module can't be parsed
const EXTENSIONS = ['.js', '.mjs', '.cjs', ''];

// {directory, module, names}: everything up to the last "/", up to the first "." behind it, and the rest.
function parseName(name) {
  const slash = (name || '').lastIndexOf('/') + 1;
  const found = /^([^.]+)\.(.+)$/.exec((name || '').slice(slash));
  if (!found || name.includes('..'))
    throw new InitFailure(
      'Runtime.MalformedHandlerName',
      `'${name || ''}' is not a valid handler name: it is FILE.FUNCTION, like index.handler or src/app.handler`);
  return { directory: name.slice(0, slash), module: found[1], names: found[2].split('.') };
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

// The file, or what require() makes of the name: a directory with an index.js, a package in node_modules.
function find(root, { directory, module }) {
  const base = path.resolve(root, directory, module);
  for (const extension of EXTENSIONS) if (isFile(base + extension)) return base + extension;
  const found = resolve(path.resolve(root, directory), fs.existsSync(base) ? base : module);
  if (found) return found;
  throw new InitFailure(
    'Runtime.ImportModuleError',
    `Error: Cannot find module '${directory}${module}': there is no ${base}.js, .mjs or .cjs. ${filesThere(path.dirname(base))}`);
}

function resolve(directory, name) {
  try {
    const found = createRequire(directory + '/').resolve(name);
    return path.isAbsolute(found) ? found : null; // a module of node's own has no handler
  } catch {
    return null;
  }
}

function filesThere(directory) {
  let names = [];
  try {
    names = fs.readdirSync(directory).filter((name) => /\.[cm]?js$/.test(name)).sort();
  } catch {
    return `There is no directory ${directory}`;
  }
  return names.length ? `There is: ${names.slice(0, 10).join(', ')}` : `No script lies in ${directory}`;
}

// What "type" the nearest package.json gives to a .js file.
function isModule(file) {
  if (!file.endsWith('.js')) return file.endsWith('.mjs');
  for (let directory = path.dirname(file); ; directory = path.dirname(directory)) {
    const manifest = path.join(directory, 'package.json');
    if (isFile(manifest)) return readJson(manifest).type === 'module';
    if (directory === '/') return false;
  }
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) || {};
  } catch (cause) {
    throw new InitFailure('Runtime.ImportModuleError', `Error: ${file} can't be read: ${cause.message}`, cause);
  }
}

async function loadFile(file) {
  if (isModule(file)) return import(require('url').pathToFileURL(file).href);
  try {
    return createRequire(file)(file);
  } catch (error) {
    if (error?.code !== 'ERR_REQUIRE_ESM' && error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return import(require('url').pathToFileURL(file).href); // a newer node looked at its syntax
  }
}

// ---- errors that the function's author can act on ----

function missingName(error) {
  return /Cannot find (?:module|package) '([^']+)'/.exec(error.message)?.[1] || '';
}

function packageOf(name) {
  return name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/');
}

function adviseMissing(name) {
  if (name.startsWith('/')) return adviseExtension(name);
  if (!name || name.startsWith('.')) return '';
  const wanted = packageOf(name);
  if (wanted === 'aws-sdk' || wanted.startsWith('@aws-sdk/'))
    return `. It is part of AWS's managed runtime, not of this host: run npm install ${wanted} and deploy again`;
  return `. Run npm install ${wanted} in the directory that you deploy, and deploy it with its node_modules`;
}

// Of the source, not of JSON.parse() when the module ran: its stack begins with the place in the source (CommonJS), or nothing of the function is in it.
function isOfSource(error) {
  if (error?.name !== 'SyntaxError') return false;
  const lines = String(error.stack).split('\n');
  return !lines[0].startsWith('SyntaxError') || !lines.some((line) => /^ {4}at /.test(line) && !line.includes('node:') && !line.includes(__dirname));
}

// Where the text is that could not be understood: "/var/task/index.js:2", and the lines that show it. V8 tells it of CommonJS in the stack.
function placeInStack(error) {
  const lines = String(error.stack).split('\n');
  const place = /^(?:file:\/\/)?(\/.+:\d+)$/.exec(lines[0])?.[1];
  return place ? { place, lines: [] } : null;
}

function checkSyntax(file) {
  const { spawnSync } = require('child_process');
  const done = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: CHECK_MS });
  const lines = String(done.stderr).split('\n');
  const end = lines.findIndex((line) => line.startsWith('SyntaxError'));
  return end > 0 ? { place: lines[0].replace('file://', ''), lines: lines.slice(1, end).filter(Boolean) } : null;
}

// Of ES modules it tells nobody but who lets the error end the process: node is asked about each file that the first one leads to.
function findBrokenFile(first) {
  const files = new Set([first]);
  for (const file of files) {
    const found = checkSyntax(file);
    if (found || files.size > CHECKED_MAX) return found;
    for (const [, name] of fs.readFileSync(file, 'utf8').matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g)) {
      const next = path.resolve(path.dirname(file), name);
      if (isFile(next)) files.add(next);
    }
  }
  return null;
}

function placeOf(error, file) {
  try {
    return placeInStack(error) || (file && findBrokenFile(file));
  } catch {
    return null; // the error itself says enough
  }
}

function explainSyntax(error, file) {
  const isImport = /import statement outside|Unexpected token 'export'|import\.meta/.test(error.message);
  const advice = isImport ? '. Name the file .mjs, or put "type": "module" into package.json' : '';
  const found = placeOf(error, file);
  if (found?.lines.length) error.stack = [found.place, ...found.lines, String(error.stack)].join('\n');
  return new InitFailure('Runtime.UserCodeSyntaxError', `${error}${found ? ` (${found.place})` : ''}${advice}`, error);
}

// An ES module names a file with its extension.
function adviseExtension(name) {
  const there = EXTENSIONS.find((extension) => extension && isFile(name + extension));
  return there ? `. An import names the file with its extension: ${path.basename(name)}${there}` : '';
}

function explain(error, root, file) {
  const code = error?.code;
  if (error instanceof InitFailure) return error;
  if (isOfSource(error)) return explainSyntax(error, file);
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') {
    const firstLine = String(error).split('\n')[0];
    return new InitFailure('Runtime.ImportModuleError', firstLine + adviseMissing(missingName(error)), error);
  }
  if (code === 'ERR_IMPORT_ASSERTION_TYPE_MISSING' || code === 'ERR_IMPORT_ATTRIBUTE_MISSING')
    return new InitFailure('Runtime.ImportModuleError', `${error.message}: import data from './FILE.json' with { type: 'json' }`, error);
  if (code === 'ERR_DLOPEN_FAILED')
    return new InitFailure('Runtime.ImportModuleError', `${error}. It was built for another Node or processor: run npm rebuild with ` +
      `${process.version} on ${process.arch} in ${root === '/var/task' ? 'the directory that you deploy' : root}`, error);
  return error;
}

// ---- the function itself ----

function lookUp(exported, names) {
  let value = exported;
  for (const name of names) value = value?.[name];
  return value;
}

function pick(exported, parsed, name) {
  let value = lookUp(exported, parsed.names);
  if (value === undefined && exported?.default !== undefined) value = lookUp(exported.default, parsed.names);
  if (typeof value === 'function') return value;
  if (typeof exported === 'function' && value === undefined)
    throw new InitFailure('Runtime.HandlerNotFound', `${name} is undefined: the module is a function itself. Write exports.${parsed.names[0]} = ...`);
  const exports = Object.keys(exported ?? {}).filter((key) => key !== 'default');
  const more = exports.splice(10).length;
  throw new InitFailure(
    'Runtime.HandlerNotFound',
    `${name} is ${value === undefined ? 'undefined or not exported' : 'not a function'}. ` +
    (exports.length ? `Exported: ${exports.join(', ')}${more ? ` and ${more} more` : ''}` : 'Nothing is exported'));
}

async function load(name, root) {
  const parsed = parseName(name);
  let file;
  try {
    defineStreaming();
    file = find(root, parsed);
    return pick(await loadFile(file), parsed, name);
  } catch (error) {
    throw explain(error, root, file);
  }
}

// `awslambda` is there for who asks for it.
function defineStreaming() {
  Object.defineProperty(globalThis, 'awslambda', {
    configurable: true,
    enumerable: false,
    get: () => require('./streaming.cjs'),
    set: (value) => Object.defineProperty(globalThis, 'awslambda', { value, configurable: true, writable: true }),
  });
}

module.exports = { load };
