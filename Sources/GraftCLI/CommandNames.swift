// "Did you mean": a mistyped command is told from an unexpected argument before anything is parsed.

import ArgumentParser
import Glibc
import Graft
import GraftTensors

/// A command that is not one.
struct UnknownCommand: Diagnostic, Equatable {
    let name: String
    let near: [String]

    var message: String { "unknown command `\(name)`" }
    var hint: String? {
        near.isEmpty
            ? "`graft help` lists the commands"
            : "did you mean " + near.map { "`\($0)`" }.joined(separator: " or ") + "?"
    }

    /// The mistyped command among `arguments`; nil if there is none.
    ///
    /// Below a command that has a default subcommand, a word may be that one's argument: only what is near
    /// the name of a subcommand, and no file, is taken for a mistake there.
    static func find(_ arguments: [String], in command: any ParsableCommand.Type) -> UnknownCommand?
    {
        let configuration = command.configuration
        let subcommands = configuration.subcommands
        guard !subcommands.isEmpty, let word = arguments.first, !word.hasPrefix("-"),
            word != "help"
        else { return nil }
        func names(_ command: any ParsableCommand.Type) -> [String] {
            let configuration = command.configuration
            let name = configuration.commandName ?? "\(command)".lowercased()
            return [name] + configuration.aliases
        }
        if let next = subcommands.first(where: { names($0).contains(word) }) {
            return find(Array(arguments.dropFirst()), in: next)
        }
        let shown = subcommands.filter { $0.configuration.shouldDisplay }
        let near = suggestions(for: word, among: shown.flatMap(names))
        if configuration.defaultSubcommand != nil {
            guard !near.isEmpty, access(word, F_OK) != 0 else { return nil }
        }
        return UnknownCommand(name: word, near: near)
    }
}

extension Models {
    /// Says which file a folder stands for: it may hold several models.
    static func sayFile(of reference: String) throws {
        guard let file = try file(inFolder: reference) else { return }
        Terminal.say("model: \(file)")
    }
}
