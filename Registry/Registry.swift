// The models that graft knows where to fetch, and finding one by its name.

import FoundationEssentials
import Glibc
import GraftTensors

/// The models that graft knows where to fetch.
public struct Registry: Sendable {
    /// Every publication, those of one architecture together.
    public let entries: [RegistryEntry]

    /// Reads the registry that comes with the program.
    public static func load() throws -> Registry {
        let entries = try Resources.families().flatMap {
            try Resources.decode([RegistryEntry].self, from: $0)
        }
        return Registry(entries: entries)
    }

    /// The part of the registry that `name` can mean: the families with the name in their file.
    ///
    /// Reading two thousand rows takes longer than the start of the program; looking for a name in their
    /// bytes does not.
    private static func load(mentioning name: String) throws -> Registry {
        let entries = try Resources.families().flatMap {
            try Resources.mentions($0, name)
                ? try Resources.decode([RegistryEntry].self, from: $0) : []
        }
        return Registry(entries: entries)
    }

    /// The model of this exact name, or the default publication of the architecture so named. Reads
    /// no more of the registry than that takes.
    public static func find(_ name: String) throws -> RegistryEntry {
        if let entry = try load(mentioning: name).match(name) { return entry }
        return try load().find(name)
    }

    /// The default publication of an architecture, as ``entry(forArchitecture:)`` finds it. Reads no more
    /// of the registry than that takes.
    public static func publication(ofArchitecture name: String) throws -> RegistryEntry? {
        try load(mentioning: name).entry(forArchitecture: name)
    }

    private func match(_ name: String) -> RegistryEntry? {
        entries.first { $0.name == name } ?? entry(forArchitecture: name)
            ?? entries.first { $0.isDefault && $0.base == name }
    }

    /// The model of this exact name, or the default publication of the architecture so named.
    public func find(_ name: String) throws -> RegistryEntry {
        if let entry = match(name) { return entry }
        throw RegistryError.unknown(
            name,
            suggestions: suggestions(
                for: name,
                among: entries.map { $0.isDefault ? $0.architecture ?? $0.name : $0.name }))
    }

    /// The default publication of an architecture. A width without a size (`mobilenet:0.25`) means
    /// the usual 224 pixels.
    public func entry(forArchitecture name: String) -> RegistryEntry? {
        entries.first { $0.isDefault && $0.architecture == name }
            ?? (name.contains(":")
                ? entries.first { $0.isDefault && $0.architecture == name + "-224" } : nil)
    }

    /// What to look for; everything that is nil or empty does not matter.
    ///
    /// What a publisher does not say satisfies no condition on it.
    public struct Criteria: Sendable {
        /// Words that the name must contain.
        public var query: String?
        /// The size of the file, at most; reckoned from the parameters where it is not known.
        public var maxByteCount: Int?
        /// Parameters, at most.
        public var maxParameters: Int?
        /// The accuracy on ImageNet, at least, 0 to 1.
        public var minTop1: Double?
        /// SPDX identifiers of which the licence must be one, in any case.
        public var licences: [String] = []
        /// Only what graft has the network of.
        public var runnable = false

        /// Criteria that everything satisfies.
        public init() {}

        /// Whether a publication is as wanted.
        public func accept(_ entry: RegistryEntry) -> Bool {
            let name = entry.name.lowercased()
            let words = (query ?? "").lowercased().split(whereSeparator: \.isWhitespace)
            guard words.allSatisfy({ name.contains($0) }) else { return false }
            if let maxByteCount {
                guard let size = entry.estimatedByteCount, size <= maxByteCount else {
                    return false
                }
            }
            if let maxParameters {
                guard let count = entry.parameters, count <= maxParameters else { return false }
            }
            if let minTop1 {
                guard let top1 = entry.top1, top1 >= minTop1 else { return false }
            }
            if !licences.isEmpty {
                guard let licence = entry.licence?.lowercased(),
                    licences.contains(where: { $0.lowercased() == licence })
                else { return false }
            }
            return !runnable || entry.architecture != nil
        }
    }

    /// The models that are as wanted: first those that the query names exactly, then those of which
    /// something is published; what a bare name could mean goes before longer names. Else in the order of
    /// the registry, which is all there is without a query.
    public func search(_ criteria: Criteria) -> [RegistryEntry] {
        let found = entries.filter(criteria.accept)
        guard let query = criteria.query?.lowercased(), !query.isEmpty else { return found }
        func rank(_ entry: RegistryEntry, _ place: Int) -> [Int] {
            let base = entry.base.lowercased()
            let own = base.split(separator: "/").last.map(String.init) ?? base
            let isNamed = entry.name.lowercased() == query || base == query
            let isKnown = entry.parameters != nil || entry.top1 != nil
            let nearness = own == query ? 0 : own.hasPrefix(query) ? 1 : 2
            return [isNamed ? 0 : 1, isKnown ? 0 : 1, nearness, entry.top1 == nil ? 1 : 0, place]
        }
        let ranked = found.enumerated().map { place, entry in
            (rank: rank(entry, place), entry: entry)
        }
        return ranked.sorted { $0.rank.lexicographicallyPrecedes($1.rank) }.map(\.entry)
    }

    /// The models whose names have every word of the query, the nearest first; all for none.
    public func search(_ query: String?) -> [RegistryEntry] {
        var criteria = Criteria()
        criteria.query = query
        return search(criteria)
    }

    /// The names of the classes, in the order of the network's outputs.
    public static func labels(_ id: String) throws -> [String] {
        let path = try Resources.models() + "/labels-\(id).json"
        guard !id.isEmpty, id.utf8.allSatisfy({ (97...122).contains($0 | 0x20) || $0 == 45 }),
            access(path, F_OK) == 0
        else { throw RegistryError.unknownLabels(id) }
        return try Resources.decode([String].self, from: path)
    }
}
