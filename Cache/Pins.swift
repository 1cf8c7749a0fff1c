// What must stay, whatever else is evicted.

import FoundationEssentials
import GraftTensors

/// The references that are pinned: `pins.json` in graft's cache.
extension Cache {
    private struct PinFile: Codable { var pins: [String] }
    private var pinPath: String { root + "/pins.json" }

    /// The pinned references, sorted. `hf://org/name` pins all its commits, `…@<commit or ref>` one.
    public func pins() -> [String] {
        guard let bytes = Files.read(pinPath, limit: 16 << 20),
            let file = try? JSONDecoder().decode(PinFile.self, from: Data(bytes))
        else { return [] }
        return file.pins
    }

    /// Whether the file of the pins can be read.
    var hasSoundPins: Bool {
        Files.read(pinPath, limit: 16 << 20).map {
            (try? JSONDecoder().decode(PinFile.self, from: Data($0))) != nil
        } ?? false
    }

    /// Pins references; those that are not here yet will be kept once they are.
    public func pin(_ references: [String]) throws {
        try changePins { $0.formUnion(references) }
    }

    /// Unpins references; which of them were pinned.
    public func unpin(_ references: [String]) throws -> [String] {
        var found: [String] = []
        try changePins { pins in found = references.filter { pins.remove($0) != nil } }
        return found
    }

    private func changePins(_ body: (inout Set<String>) -> Void) throws {
        guard !root.isEmpty else { throw CacheError.noHome }
        try Files.makeFolder(root + "/locks")
        try Files.locked(root + "/locks/pins.lock") {
            var pins = Set(self.pins())
            body(&pins)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .withoutEscapingSlashes, .sortedKeys]
            try Files.write(Array(try encoder.encode(PinFile(pins: pins.sorted()))), to: pinPath)
        }
    }
}
