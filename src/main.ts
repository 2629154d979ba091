#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import type { BulkFlags } from './commands/bulk/bulk-flags.js';
import type { CommonFlags } from './commands/flags.js';
import type { CreateFlags } from './commands/keys/keys.js';
import type { ProveFlags } from './commands/prove.js';
import { reportUncaught, startFailure } from './commands/start-failure.js';
import { systemCodeOf } from './errors.js';
import { SettingError } from './settings/setting.js';
import { endWithStarter } from './system/process/parent-death.js';
import { tuneServerProcess } from './system/process/tuning.js';
import { VERSION } from './version.js';

/** Exit codes: 1 the command failed (or the proof's verdict is negative), 2 it was called wrongly. */
const FAILED = 1;
const WRONG_CALL = 2;

function withCommonFlags(command: Command): Command {
  return command
    .option('--models <dir>', 'folder of models in Hugging Face layout (default: the bundled ones)')
    .option('--data <dir>', 'folder for mapped models and the database (default: .plimsoll)')
    .option(
      '--dtype <type>',
      'weights to take: fp32, fp16, bf16, fp64, q8, q4 or auto (default: auto)',
    )
    .option(
      '--set <key=value>',
      'any setting, may be repeated; `plimsoll config` lists them',
      (value: string, earlier: readonly string[]) => [...earlier, value],
      [],
    );
}

function withModelFlag(command: Command): Command {
  return command.option(
    '--model <org/name[@revision]>',
    'model of a hub, fetched where the cache lacks it; may be repeated. Without --models only these are served (default: none)',
    (value: string, earlier: readonly string[] = []) => [...earlier, value],
  );
}

/** Runs a command; it calls `started` when what it says about an error is no longer why it could not start. */
type Run = (work: (started: () => void) => Promise<number>) => Promise<void>;

function buildProgram(run: Run): Command {
  const program = new Command('plimsoll')
    .description(
      'A classification server that keeps its memory under a line you draw, and proves it',
    )
    .version(VERSION)
    .showHelpAfterError('(add --help for the options)')
    .exitOverride();
  for (const add of [addServe, addBulk, addProve, addModels, addPull, addKeys, addConfig])
    add(program, run);
  return program;
}

function addServe(program: Command, run: Run): void {
  withModelFlag(withCommonFlags(program.command('serve').description('start the server')))
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on, 0 for a free one (default: 8000)')
    .option(
      '--role <role>',
      'all; door: answers callers and works on no jobs; worker: works on jobs and answers none (default: all)',
    )
    .addHelpText(
      'after',
      '\nExample:\n  plimsoll serve --models ./models --port 8000\n  plimsoll serve --model org/name --model org/other@v1.0',
    )
    .action((flags: CommonFlags) =>
      run(async (started) => {
        // Before the server's modules are loaded: the starter may end meanwhile.
        endWithStarter();
        return (await import('./commands/serve.js')).serve(flags, started);
      }),
    );
}

function addBulk(program: Command, run: Run): void {
  const command = withCommonFlags(
    program
      .command('bulk')
      .description('classify the rows of files: here, or as a job of a server')
      .argument('<input...>', 'files, folders, globs, http(s):// or s3:// addresses'),
  )
    .requiredOption(
      '--out <place>',
      'folder or s3:// address for the parts and the manifest (default: none, it is needed)',
    )
    .option('--model <id>', 'model to ask (default: the default model)')
    .option(
      '--server <url>',
      'server whose jobs do it; its key from PLIMSOLL_KEY or PLIMSOLL_KEY_FILE (default: this process)',
    )
    .option('--detach', 'with --server: do not wait for the end')
    .option('--text <column>', 'column of the text (default: text)')
    .option(
      '--text-pair <column>',
      'column of a second text, for models that read two (default: none)',
    )
    .option('--id <column>', 'column that names the row; it is carried through (default: none)')
    .option('--keep <columns>', 'columns to keep, divided by commas (default: none)')
    .option('--format <format>', 'of the parts: jsonl, csv, parquet (default: as the input)')
    .option('--compress <how>', 'of the parts: none, gzip, zstd (default: none)')
    .option('--input-format <format>', 'jsonl, csv, parquet (default: what the names say)')
    .option('--delimiter <character>', 'of CSV (default: found by the first line)')
    .option('--all-scores', 'the scores of all labels, not only the best one’s')
    .option('--max-errors <n>', 'bad rows after which the job fails (default: any number)')
    .option('--shard-rows <n>', 'rows of a part, about (default: 4000)');
  withAnswerFlags(command)
    .addHelpText(
      'after',
      '\nWithout --server the job runs in this process, with a queue of its own: jobs.url, database.url, redis.url and server.role of the environment do not count.\n\nExample:\n  plimsoll bulk mails.jsonl --model spam --out results/\n  plimsoll bulk "s3://bucket/mails/*.parquet" --model org/name --out s3://bucket/out/ --server https://plimsoll.example',
    )
    .action((inputs: string[], flags: BulkFlags) =>
      run(async () => (await import('./commands/bulk/bulk.js')).bulk(inputs, flags)),
    );
}

/** What is asked of the model for each row. */
function withAnswerFlags(command: Command): Command {
  return command
    .option(
      '--task <task>',
      'text-classification, zero-shot-classification, reranking, token-classification (default: what the model does)',
    )
    .option('--top-k <n>', 'best labels of a row (default: 1)')
    .option('--threshold <score>', 'labels below it are left out (default: none are)')
    .option(
      '--function <name>',
      'applied to the logits: softmax, sigmoid, none (default: the model’s own)',
    )
    .option(
      '--label <label>',
      'zero-shot: a label of your own; may be repeated (default: none)',
      (value: string, earlier: readonly string[] = []) => [...earlier, value],
    )
    .option(
      '--template <text>',
      'zero-shot: the hypothesis, {} stands for the label (default: This example is {}.)',
    )
    .option('--multi-label', 'zero-shot: each label by itself')
    .option('--query <text>', 'reranking: the rows are scored against it (default: none)')
    .option(
      '--aggregation <how>',
      'token classification: none, simple, first, average, max (default: simple)',
    );
}

function addProve(program: Command, run: Run): void {
  withCommonFlags(
    program.command('prove').description('load-test a server and write a report that judges it'),
  )
    .option('--url <url>', 'server to test (default: one that is started for this run)')
    .option(
      '--profile <name>',
      'reference: 5 sessions of 8 users; soak: sessions until --duration is over; ramp: more and more users until the server refuses; chaos: workers killed, memory taken, Redis and PostgreSQL cut off',
      'reference',
    )
    .option('--sessions <n>', 'sessions, one after the other (default: reference 5, chaos 12)')
    .option('--duration <time>', 'begin sessions for so long: 90s, 30m, 1h (default: soak 1h)')
    .option('--users <n>', 'concurrent users of each session (default: 8; ramp at most 8192)')
    .option(
      '--requests <n>',
      'requests of each user (default: reference 10, soak and chaos 40, ramp 2)',
    )
    .option(
      '--rate <n>',
      'requests that are due each second, answered or not: an open loop (default: a closed loop)',
    )
    .option(
      '--inputs <file|dir>',
      'texts to send: .jsonl, .jsonl.gz or a folder of .txt files (default: the held-out mails)',
    )
    .option('--model <id>', 'model to ask, or several divided by commas (default: the server’s)')
    .option(
      '--compare <report.json>',
      'earlier report (.json or .json.gz) to hold memory against (default: none)',
    )
    .option('--out <dir>', 'folder for the report', 'proof')
    .option(
      '--timeout <seconds>',
      'end of the whole run at the latest (default: 1800; with a duration 300 more than that)',
    )
    .addHelpText(
      'after',
      '\nExample:\n  plimsoll prove --sessions 5 --users 8\n  plimsoll prove --url http://127.0.0.1:8000 --out ./proof' +
        '\n\nExit code: 0 the verdict is positive, 1 it is not or the run failed,\n130 the run was stopped by hand (its report is written).',
    )
    .action((flags: ProveFlags) =>
      run(async () => (await import('./commands/prove.js')).prove(flags)),
    );
}

function addModels(program: Command, run: Run): void {
  const models = program.command('models').description('list the models, and prepare them');
  withModelFlag(withCommonFlags(models))
    .option('--prepare', 'write the mapped form of every model now', false)
    .addHelpText('after', '\nExample:\n  plimsoll models --models ./models --prepare')
    .action((flags: CommonFlags & { prepare: boolean }) =>
      run(async () => (await import('./commands/models.js')).listModels(flags)),
    );
  modelRemovals(models, run);
}

function addPull(program: Command, run: Run): void {
  withCommonFlags(
    program
      .command('pull')
      .description('fetch models from a hub into its cache')
      .argument('<model...>', 'org/name, or org/name@revision (a branch, a tag or a commit)'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  plimsoll pull org/name org/other@v1.0' +
        '\n\nAs huggingface_hub does, it reads HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and\nHF_HUB_OFFLINE, and shares its cache with it. What was cut off is taken up again.',
    )
    .action((models: string[], flags: CommonFlags) =>
      run(async () => (await import('./commands/pull.js')).pull(models, flags)),
    );
}

function addConfig(program: Command, run: Run): void {
  withCommonFlags(program.command('config').description('show every setting and its value'))
    .option('--host <address>', 'as for serve (default: 127.0.0.1)')
    .option('--port <number>', 'as for serve (default: 8000)')
    .option('--markdown', 'print docs/settings.md', false)
    .addHelpText('after', '\nExample:\n  PLIMSOLL_SESSION_MAX_USERS=4 plimsoll config')
    .action((flags: CommonFlags & { markdown: boolean }) =>
      run(async () => (await import('./commands/show-config.js')).showConfig(flags)),
    );
}

function addKeys(program: Command, run: Run): void {
  const keys = program
    .command('keys')
    .description('make, list and end the keys of callers; the server may run meanwhile or not')
    .addHelpText(
      'after',
      '\nExample:\n  plimsoll keys create ops --scope manage\n  plimsoll keys create team-a --requests-per-second 20 --expires 90d',
    );
  const named = (command: Command) => withCommonFlags(command).argument('<name>', 'of the key');
  named(keys.command('create').description('make a key; its secret is shown this once'))
    .option(
      '--scope <scope>',
      'classify: ask models; read: see sessions, records, metrics and the page; manage: all of it and more. May be repeated (default: classify)',
      (value: string, earlier: readonly string[] = []) => [...earlier, value],
    )
    .option('--requests-per-second <n>', 'most requests in a second (default: no limit)')
    .option('--inputs-per-minute <n>', 'most inputs in a minute (default: no limit)')
    .option('--expires <time>', 'how long it is valid: 90d, 12h (default: for good)')
    .action((name: string, flags: CreateFlags) =>
      run(async () => (await import('./commands/keys/keys.js')).createKey(name, flags)),
    );
  withCommonFlags(keys.command('list').description('list the keys, revoked ones too')).action(
    (flags: CommonFlags) =>
      run(async () => (await import('./commands/keys/keys.js')).listKeys(flags)),
  );
  named(keys.command('revoke').description('end a key: it stops working within a second')).action(
    (name: string, flags: CommonFlags) =>
      run(async () => (await import('./commands/keys/keys.js')).revokeKey(name, flags)),
  );
  named(keys.command('rotate').description('give a key another secret'))
    .option('--grace <time>', 'how long the old one works too: 10m, 1h (default: 0s)')
    .action((name: string, flags: CommonFlags & { grace?: string }) =>
      run(async () => (await import('./commands/keys/keys.js')).rotateKey(name, flags)),
    );
}

/** The commands below `plimsoll models` that delete. */
function modelRemovals(models: Command, run: Run): void {
  const withRemovalFlags = (command: Command) =>
    withCommonFlags(command)
      .option('--yes', 'remove without asking')
      .option('--dry-run', 'only show what would be removed');
  // Flags that `plimsoll models` has too are taken by it, wherever they stand.
  withRemovalFlags(
    models
      .command('rm')
      .description('remove a model from the hub’s cache, with its mapped forms')
      .argument('<model>', 'org/name (all revisions), or org/name@revision'),
  ).action((model: string, _flags: object, command: Command) =>
    run(async () =>
      (await import('./commands/models-rm.js')).removeModel(model, command.optsWithGlobals()),
    ),
  );
  withRemovalFlags(
    models.command('prune').description('remove the mapped forms of models that are gone'),
  ).action((_flags: object, command: Command) =>
    run(async () =>
      (await import('./commands/models-prune.js')).pruneForms(command.optsWithGlobals()),
    ),
  );
}

/**
 * Whoever reads what a command says may have seen enough (`plimsoll models | head`): the command goes on to its end, and tells the rest
 * to nobody. The log of a server has an output of its own, which does the same.
 */
function outliveReaders(): void {
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error) => {
      if (systemCodeOf(error) !== 'EPIPE') throw error;
    });
  }
}

const HELP = /^(-h|--help)$/;

/** Commands whose process is a server. */
const SERVERS = ['serve', 'bulk'];

async function main(): Promise<void> {
  // Before anything is allocated that need not be: what these allocate is to be tuned.
  if (SERVERS.includes(process.argv[2] ?? '')) tuneServerProcess();
  if (process.argv[2] !== 'serve' || process.argv.some((word) => HELP.test(word))) outliveReaders();
  const run: Run = async (work) => {
    const started = reportUncaught(FAILED);
    try {
      process.exitCode = await work(started);
    } catch (error) {
      process.stderr.write(`plimsoll: ${startFailure(error)}\n`);
      process.exitCode = error instanceof SettingError ? WRONG_CALL : FAILED;
    }
  };
  try {
    await buildProgram(run).parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : WRONG_CALL;
  }
}

await main();
