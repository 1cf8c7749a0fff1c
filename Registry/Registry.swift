// The models that graft knows where to fetch, and finding one by its name.

import FoundationEssentials
import GraftTensors

/// The models that graft knows where to fetch.
public struct Registry: Sendable {
    /// Every publication, those of one architecture together.
    public let entries: [RegistryEntry]
    private let folder: String

    /// Reads the registry that comes with the program.
    public static func load() throws -> Registry {
        let folder = try Resources.models()
        let files: [String]
        do {
            files = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw RegistryError.unreadable(path: folder, reason: "\(error)")
        }
        let families = files.filter { $0.hasSuffix(".json") && !$0.hasPrefix("labels-") }
        let entries = try families.sorted().flatMap {
            try Resources.decode([RegistryEntry].self, from: folder + "/" + $0)
        }
        return Registry(entries: entries, folder: folder)
    }

    /// The model of this exact name, or the default publication of the architecture so named.
    public func find(_ name: String) throws -> RegistryEntry {
        if let entry = entries.first(where: { $0.name == name }) ?? entry(forArchitecture: name) {
            return entry
        }
        throw RegistryError.unknown(
            name,
            suggestions: suggestions(
                for: name, among: entries.map { $0.isDefault ? $0.architecture : $0.name }))
    }

    /// The default publication of an architecture. A width without a size (`mobilenet:0.25`) means
    /// the usual 224 pixels.
    public func entry(forArchitecture name: String) -> RegistryEntry? {
        entries.first { $0.isDefault && $0.architecture == name }
            ?? (name.contains(":")
                ? entries.first { $0.isDefault && $0.architecture == name + "-224" } : nil)
    }

    /// The models whose names have every word of the query; all for none.
    public func search(_ query: String?) -> [RegistryEntry] {
        let words = (query ?? "").lowercased().split(whereSeparator: \.isWhitespace)
        return entries.filter { entry in
            let name = entry.name.lowercased()
            return words.allSatisfy { name.contains($0) }
        }
    }

    /// The names of the classes, in the order of the network's outputs.
    public func labels(_ id: String) throws -> [String] {
        guard entries.contains(where: { $0.labels == id }) else {
            throw RegistryError.unknownLabels(id)
        }
        return try Resources.decode([String].self, from: "\(folder)/labels-\(id).json")
    }
}
