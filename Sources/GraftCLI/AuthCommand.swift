// `graft auth`: whose token requests carry.

import ArgumentParser
import GraftHub

struct AuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth", abstract: "Show which account the token belongs to.",
        subcommands: [WhoAmI.self])

    struct WhoAmI: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "whoami", abstract: "Show the account of the token.",
            discussion: """
                Example: graft auth whoami
                The token is read from HF_TOKEN, HF_TOKEN_PATH or the file of `hf auth login`; graft stores \
                none.
                """)
        @Option(help: "File that holds the token.") var tokenFile: String?
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            var options = FetchOptions()
            options.tokenFile = tokenFile
            let account = try await Hub(options: options).account()
            if json {
                Terminal.answer(try JSON.line(account))
                return
            }
            Terminal.answer(Terminal.harmless(account.name))
            if !account.organizations.isEmpty {
                Terminal.say("organisations: " + account.organizations.joined(separator: ", "))
            }
            Terminal.say(
                "token of \(account.source)" + (account.role.map { ", role \($0)" } ?? "")
                    + ", at \(account.endpoint)")
        }
    }
}
