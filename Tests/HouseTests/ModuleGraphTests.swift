// The modules import what docs/architecture.md says, and nothing else.

import Foundation
import Testing

@Suite struct ModuleGraphTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The arrows of the block in the document: module to modules.
    private func documented() throws -> [String: Set<String>] {
        let text = try String(
            contentsOf: Self.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        let block = try #require(text.components(separatedBy: "```arrows\n").dropFirst().first)
        let lines = try #require(block.components(separatedBy: "```").first)
            .split(separator: "\n")
        return try Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let halves = line.components(separatedBy: "->")
                try #require(halves.count == 2, "\(line)")
                let targets = halves[1].split(separator: ",").map {
                    $0.trimmingCharacters(in: .whitespaces)
                }
                return (halves[0].trimmingCharacters(in: .whitespaces), Set(targets))
            })
    }

    /// The modules of this package and the C libraries that the sources below `folder` import.
    private func imports(below folder: URL) throws -> Set<String> {
        let files = try #require(
            FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        var found: Set<String> = []
        for case let file as URL in files where file.pathExtension == "swift" {
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let place = words.firstIndex(of: "import"), let name = words.last,
                    words[..<place].allSatisfy({
                        $0.hasPrefix("@")
                            || ["public", "package", "internal", "private"].contains($0)
                    })
                else { continue }
                let module = name.split(separator: ".")[0]
                if module == "Graft" {
                    found.insert("Graft")
                } else if module.hasPrefix("Graft") {
                    found.insert(String(module.dropFirst("Graft".count)))
                } else if module.first == "C", module.dropFirst().first?.isUppercase == true,
                    module != "Crypto"
                {
                    found.insert(String(module))
                }
            }
        }
        return found
    }

    private func folders() throws -> [URL] {
        let sources = try FileManager.default.contentsOfDirectory(
            at: Self.root.appending(path: "Sources"), includingPropertiesForKeys: nil)
        let swift = sources.filter {
            !["CModules", "CKernels", "CGraftSystem"].contains($0.lastPathComponent)
        }
        return swift + ["Registry", "Cache"].map { Self.root.appending(path: $0) }
    }

    @Test func everyArrowIsDocumented() throws {
        let arrows = try documented()
        for folder in try folders() {
            let name = folder.lastPathComponent
            let allowed = try #require(arrows[name], "docs/architecture.md has no line for \(name)")
            let strange = try imports(below: folder).subtracting(allowed)
            #expect(
                strange.isEmpty,
                "\(name) imports \(strange.sorted()), which docs/architecture.md does not allow")
        }
    }

    @Test func everyLineNamesAModuleAndRunsDownwards() throws {
        let arrows = try documented()
        let modules = Set(try folders().map(\.lastPathComponent))
        #expect(Set(arrows.keys) == modules)
        // A module stands below all that import it: there is no circle.
        var settled: Set<String> = []
        while settled.count < arrows.count {
            let next = arrows.keys.filter { name in
                !settled.contains(name)
                    && arrows[name, default: []].allSatisfy {
                        settled.contains($0) || !modules.contains($0)
                    }
            }
            try #require(!next.isEmpty, "a circle among \(modules.subtracting(settled).sorted())")
            settled.formUnion(next)
        }
    }
}
