// The commands in README and docs: every option that they name is one that graft has.

import Foundation
import Testing

@Suite struct DocumentationTests {
    /// The pages, from the root of the project.
    private static let pages = [
        "README.md", "docs/training.md", "docs/prediction.md", "docs/many-machines.md",
    ]

    private static func page(_ name: String) throws -> String {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        return try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)
    }

    /// Commands in code blocks and in backquotes: their words up to a comment or the next command.
    private static func commands(_ text: String) -> [[String]] {
        let joined = text.replacingOccurrences(of: "\\\n", with: " ")
            .replacingOccurrences(of: ",\n", with: " ")
        var found: [[String]] = []
        for line in joined.split(separator: "\n") {
            let code = line.components(separatedBy: " #")[0]
            let words = code.split { " `,[]\"'".contains($0) }.map(String.init)
            for (at, word) in words.enumerated() where word == "graft" {
                found.append(
                    Array(words[(at + 1)...].prefix { !["graft", "&&", "|"].contains($0) }))
            }
        }
        return found
    }

    @Test(arguments: pages) func everyOptionIsThere(name: String) throws {
        var help: [String: String] = [:]
        var options = 0
        for words in Self.commands(try Self.page(name)) {
            guard let command = words.first, command.allSatisfy(\.isLetter) else { continue }
            let named = words.dropFirst().filter { $0.hasPrefix("--") }
            guard !named.isEmpty else { continue }
            var path = [command]
            if ["cache", "data", "features", "runs"].contains(command), words.count > 1 {
                let second = words[1]
                path.append(
                    command == "features" && second != "merge" ? "compute" : second)
            }
            let key = path.joined(separator: " ")
            let text = try help[key] ?? Graft.run(arguments: ["help"] + path).output
            help[key] = text
            for option in named {
                options += 1
                let plain = option.split { ";:.)".contains($0) }.first.map(String.init) ?? option
                #expect(
                    text.contains(plain + " ") || text.contains(plain + "\n")
                        || text.contains(plain + "/") || text.contains(plain + ","),
                    "`graft \(key)` has no \(plain)")
            }
        }
        #expect(options > 5, "\(name) names hardly any options: is it read at all?")
    }
}
