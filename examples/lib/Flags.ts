/**
 * The flags of a program, checked before anything is asked or opened.
 * A wrong one ends the program with exit code 2, itself and the usage on standard error. `--help` prints the head
 * comment of the program's file and all flags on standard output.
 */
import { Argument, Command, CommanderError, Option as CommandOption } from "commander"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync, statSync } from "node:fs"
import { SocketAddress } from "effect-netkit"

/** Reads what a user typed. Left is what it should have been: `a port`. */
export type Parser<A> = (text: string) => Either.Either<A, string>

/**
 * A flag whose value, or what stands for it if it is missing, is an `A`. A switch takes no value; an argument is a value
 * without its flag, known by its place.
 */
export interface Flag<A> {
  readonly description: string
  readonly value:
    | { readonly placeholder: string; readonly parse: Parser<A> }
    | { readonly argument: Parser<A> }
    | Words<A>
    | "switch"
  readonly missing: A
  /** Without it the program does not start. */
  readonly required?: boolean
  /** May be given several times: the value is a list, and `parse` reads one of its members. */
  readonly repeats?: boolean
}

/** Reads all that stands beside the flags. */
export interface Words<A> {
  readonly words: (words: ReadonlyArray<string>) => Either.Either<A, string>
}

/** Flags by their names, without the dashes: `perHost` is `--per-host`. */
export type Flags = Readonly<Record<string, Flag<unknown>>>

export type Values<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer A> ? A : never }

/** The program is over before it began: `--help` (0) or a wrong flag (2). What there was to say has been printed. */
export class Stopped extends Data.TaggedError("Stopped")<{ readonly exitCode: number }> {}

// --- what flags are made from ---

export const optional = <A>(placeholder: string, description: string, parse: Parser<A>): Flag<A | undefined> => ({
  description,
  value: { placeholder, parse },
  missing: undefined
})

export const withDefault = <A>(placeholder: string, description: string, parse: Parser<A>, missing: A): Flag<A> => ({
  description,
  value: { placeholder, parse },
  missing
})

/** A flag that may be given several times. */
export const repeated = <A>(placeholder: string, description: string, parse: Parser<A>): Flag<ReadonlyArray<A>> => ({
  description,
  value: { placeholder, parse: parse as Parser<never> },
  missing: [],
  repeats: true
})

export const required = <A>(placeholder: string, description: string, parse: Parser<A>): Flag<A> => ({
  description,
  value: { placeholder, parse },
  missing: undefined as A,
  required: true
})

/** All words beside the flags, read together: a command and what it is about. */
export const words = <A>(description: string, parse: Words<A>["words"]): Flag<A> => ({
  description,
  value: { words: parse },
  missing: undefined as A
})

export const toggle = (description: string): Flag<boolean> => ({ description, value: "switch", missing: false })

/** One that has to be given, unless something stands for it. */
export const argument = <A>(description: string, parse: Parser<A>, missing?: A): Flag<A> => ({
  description,
  value: { argument: parse },
  missing: missing as A
})

export const port: Parser<number> = (text) => Either.mapLeft(SocketAddress.parsePort(text), (error) => error.expected)

export const host: Parser<string> = (text) =>
  SocketAddress.fromInput({ host: text, port: 0 }).pipe(Either.mapBoth({
    onLeft: (error) => error.expected,
    onRight: () => text
  }))

/** TCP has no empty message: nothing would be sent. */
export const text: Parser<string> = (text) => text === "" ? Either.left("a text") : Either.right(text)

export const count: Parser<number> = (text) =>
  /^[1-9]\d{0,8}$/.test(text) ? Either.right(Number(text)) : Either.left("a whole number from 1")

export const wholeNumber: Parser<number> = (text) =>
  /^-?\d{1,15}$/.test(text) ? Either.right(Number(text)) : Either.left("a whole number")

export const seconds: Parser<Duration.Duration> = (text) =>
  /^(?=.*[1-9])\d{1,6}(\.\d{1,3})?$/.test(text)
    ? Either.right(Duration.seconds(Number(text)))
    : Either.left("a number of seconds")

export const address: Parser<SocketAddress.SocketAddress> = (text) =>
  Either.mapLeft(SocketAddress.parse(text), (error) => error.expected)

export const cidr: Parser<SocketAddress.Cidr> = (text) =>
  Either.mapLeft(SocketAddress.parseCidr(text), (error) => error.expected)

export const oneOf = <A extends string>(...choices: ReadonlyArray<A>): Parser<A> => (text) =>
  Either.fromNullable(choices.find((choice) => choice === text), () => `one of ${choices.join(", ")}`)

export const folder: Parser<string> = (text) =>
  statSync(text, { throwIfNoEntry: false })?.isDirectory() ? Either.right(text) : Either.left("a folder")

/** The name of a file, with or without its folder: it says what to call a copy of it. */
export const fileName: Parser<string> = (text) =>
  /^\.{0,2}$/.test(baseName(text)) ? Either.left("a file name") : Either.right(text)

/** What may stand in the name of a file. */
export const partOfName: Parser<string> = (text) =>
  /[\\/\0]/.test(text) ? Either.left("a part of a file name") : Either.right(text)

/** The last part of a name, as any system writes it: the name may be from another machine. */
export const baseName = (name: string): string => name.split(/[\\/]/).filter((part) => part !== "").at(-1) ?? ""

// --- flags that many programs have ---

export const encoding = withDefault("name", "how texts are sent: utf-8 or gbk", oneOf("utf-8", "gbk"), "utf-8")

export const framing = withDefault(
  "name",
  "what a message is: raw (one receive) or lines",
  oneOf("raw", "lines"),
  "raw"
)

export const reply = withDefault("text", "what every client is answered", text, "thank you !")

export const client = {
  host: optional("host", "where the server is (127.0.0.1 for a --port alone)", host),
  port: optional("port", "the server's port; asked if missing", port)
}

export const server = {
  host: withDefault("host", "the address to listen on", host, "127.0.0.1"),
  port: withDefault("port", "the port to listen on; 0 takes a free one", port, 7788),
  backlog: withDefault("count", "how many clients may wait to be accepted", count, 128)
}

// --- reading them ---

/** Reads the command line of the program whose file is at `url`. */
export const parse = <F extends Flags>(url: string, flags: F): Effect.Effect<Values<F>, Stopped> =>
  Effect.try({
    try: () => values(makeCommand(url, flags).parse(), flags) as Values<F>,
    catch: (error) => {
      if (error instanceof CommanderError) return new Stopped({ exitCode: error.exitCode === 0 ? 0 : 2 })
      throw error
    }
  })

const values = (command: Command, flags: Flags): object => {
  const words = command.registeredArguments.map((argument, i) => {
    const given = command.processedArgs[i]
    const value = flags[argument.name()]?.value
    return [argument.name(), isWords(value) ? parseWords(command, value, given ?? []) : given]
  })
  return { ...command.opts(), ...Object.fromEntries(words) }
}

const isWords = (value: unknown): value is Words<unknown> =>
  typeof value === "object" && value !== null && "words" in value

const parseWords = (command: Command, { words }: Words<unknown>, given: ReadonlyArray<string>): unknown =>
  Either.getOrElse(words(given), (expected) => command.error(`${given.join(" ")}: not ${expected}`))

const makeCommand = (url: string, flags: Flags): Command => {
  const command = new Command(/([^/]+)\.ts$/.exec(url)?.[1])
    .helpOption("--help", "prints this")
    .configureHelp({ styleTitle: (title) => title.toLowerCase() })
    .configureOutput({ writeOut: (text) => console.log(chomp(text)), writeErr: (text) => console.error(chomp(text)) })
    .addHelpText("before", ({ error }) => error ? "" : `${headComment(url)}\n`)
    .showHelpAfterError()
    .exitOverride()
  for (const [name, flag] of Object.entries(flags)) add(command, name, flag)
  const places = command.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}${argument.variadic ? "..." : ""}]`
  )
  return command.usage([...places, "[flags]"].join(" "))
}

const add = (
  command: Command,
  name: string,
  { description, missing, repeats = false, required = false, value }: Flag<unknown>
): void => {
  const parsed = (parse: Parser<unknown>, what: string) => (text: string) =>
    Either.getOrElse(parse(text), (expected) => command.error(`${what} ${text}: not ${expected}`))
  if (value === "switch") command.addOption(new CommandOption(`--${dashed(name)}`, description).default(false, "off"))
  else if (isWords(value)) command.addArgument(new Argument(`[${name}...]`, description))
  else if ("argument" in value) {
    const argument = new Argument(missing === undefined ? `<${name}>` : `[${name}]`, description)
    command.addArgument(argument.default(missing, String(missing)).argParser(parsed(value.argument, name)))
  } else {
    const parse = parsed(value.parse, `--${dashed(name)}`)
    const append = (text: string, before: unknown): unknown => [...(Array.isArray(before) ? before : []), parse(text)]
    const option = new CommandOption(`--${dashed(name)} <${value.placeholder}>`, description)
    if (!required) option.default(missing, shown(missing))
    command.addOption(option.makeOptionMandatory(required).argParser(repeats ? append : parse))
  }
}

/** Commander gives the values under the names without dashes. */
const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** What the help calls a default that would not read well. */
const shown = (missing: unknown): string | undefined => {
  if (Duration.isDuration(missing)) return String(Duration.toSeconds(missing))
  return Array.isArray(missing) ? "none" : undefined
}

const chomp = (text: string): string => text.replace(/\n$/, "")

const headComment = (url: string): string =>
  /^\/\*\*\n([^]*?)\n \*\/$/m.exec(readFileSync(new URL(url), "utf8"))?.[1]?.replace(/^ \* ?/gm, "") ?? ""
