// `graft data`: checks data sets and writes them in other formats.

import ArgumentParser

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Check and convert data sets.",
        subcommands: [Check.self, Convert.self])
}
