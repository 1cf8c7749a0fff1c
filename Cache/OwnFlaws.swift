// What does not fit together in graft's own cache.

import FoundationEssentials
import GraftSystem
import GraftTensors

/// Looks at the records of graft's own cache, not at the bytes of its files.
struct OwnFlaws {
    private(set) var found: [Flaw] = []

    init(_ inventory: Inventory) {
        let cache = inventory.cache
        guard !cache.root.isEmpty else { return }
        let known = Set(inventory.entries.map { cache.referencePath(of: $0) })
        for name in Files.names(in: cache.root + "/refs") {
            let path = "\(cache.root)/refs/\(name)"
            if name.hasSuffix(".tmp") {
                found.append(Flaw(.partial, path, bytes: Files.size(of: path) ?? 0))
            } else if name.hasSuffix(".json"), !known.contains(path) {
                found.append(Flaw(.brokenRecord, path, detail: "it is not the record of a file"))
            }
        }
        for entry in inventory.entries where cache.entry(like: entry) == nil {
            let size = Files.size(of: cache.path(of: entry))
            guard !cache.isLocked(entry.url) else { continue }
            found.append(
                Flaw(
                    .missingContent, cache.referencePath(of: entry), item: entry.reference,
                    detail: "expected a file of \(entry.byteCount) bytes, found "
                        + (size.map { "\($0)" } ?? "none")))
        }
        for name in Files.names(in: cache.root + "/known") where name.hasSuffix(".json") {
            let path = "\(cache.root)/known/\(name)"
            guard let bytes = Files.read(path, limit: 1 << 16),
                (try? JSONDecoder().decode(Cache.FirstSeen.self, from: Data(bytes))) == nil
            else { continue }
            found.append(
                Flaw(.brokenRecord, path, detail: "it is not what an address held at first"))
        }
        for item in inventory.items where item.kind == .plan {
            guard let flaw = Files.planFlaw(item.path) else { continue }
            found.append(Flaw(.brokenRecord, item.path, item: item.id, detail: flaw))
        }
        let pins = cache.root + "/pins.json"
        if Files.size(of: pins) != nil, !cache.hasSoundPins {
            found.append(Flaw(.brokenRecord, pins, detail: "it is not a list of pins"))
        }
        let wanted = Set(inventory.entries.map(\.sha256))
        for digest in cache.unpackedDigests {
            let path = "\(cache.root)/unpacked/\(digest)"
            guard !wanted.contains(digest) || cache.unpackedListing(digest) == nil else { continue }
            guard !cache.isLocked("unpacked:" + digest) else { continue }
            found.append(
                Flaw(.orphanContent, path, detail: "an unpacked archive that is not here, or half"))
            if Files.size(of: path + ".json") != nil {
                found.append(Flaw(.orphanContent, path + ".json"))
            }
        }
    }
}

extension Files {
    /// What is wrong with a plan, which is prepared weights or, with measured choices, JSON; nil where
    /// nothing is.
    static func planFlaw(_ path: String) -> String? {
        if path.hasSuffix(".plan") { return PlanFileHead.flaw(path) }
        return isJSON(path) ? nil : "it is not JSON"
    }

    /// Whether a file is JSON of any kind.
    static func isJSON(_ path: String) -> Bool {
        struct Anything: Decodable { init(from decoder: any Decoder) throws {} }
        guard let bytes = read(path, limit: 64 << 20) else { return false }
        return (try? JSONDecoder().decode(Anything.self, from: Data(bytes))) != nil
    }
}
