// Which items are meant: `size>1GB`, `used>30d`, `type=model`, `name=timm/*`.

import GraftSystem

/// A condition on an item, in the grammar of Python's `hf cache ls --filter` and a little more.
public struct ItemFilter: Sendable {
    private let text: String
    private let matches: @Sendable (CacheItem) -> Bool

    /// Reads `key operator value`.
    ///
    /// Keys: `size`, `used` (`accessed`) and `modified`, compared with `=` `!=` `<` `<=` `>` `>=`, ages
    /// meaning "longer ago than"; `type`, `refs`, `name` and `pinned` with `=` and `!=`, `name` being a
    /// pattern with `*`.
    /// - Throws: ``CacheError/filter(_:)``.
    public init(_ text: String) throws(CacheError) {
        self.text = text
        guard let start = text.firstIndex(where: { "=!<>".contains($0) }) else {
            throw .filter(text)
        }
        let key = text[..<start].trimmed.lowercased()
        let rest = text[start...]
        let sign = String(rest.prefix { "=!<>".contains($0) })
        let value = rest.dropFirst(sign.count).trimmed
        guard !value.isEmpty, ["=", "==", "!=", "<", "<=", ">", ">="].contains(sign) else {
            throw .filter(text)
        }
        let compare = Self.comparison(sign)
        let isEqual = sign == "=" || sign == "=="
        switch key {
        case "size":
            let bytes = try Quantity.bytes(value)
            matches = { compare($0.byteCount, bytes) }
        case "used", "accessed", "modified":
            let seconds = try Quantity.seconds(value)
            let now = Quantity.now
            matches = { compare(now - (key == "modified" ? $0.modified : $0.used), seconds) }
        case "type" where isEqual || sign == "!=":
            guard let kind = CacheItem.Kind(rawValue: value.lowercased()) else {
                throw .filter(text)
            }
            matches = { ($0.kind == kind) == isEqual }
        case "refs" where isEqual || sign == "!=":
            matches = { $0.refs.contains(value) == isEqual }
        case "pinned" where isEqual || sign == "!=":
            guard value == "true" || value == "false" else { throw .filter(text) }
            matches = { ($0.isPinned == (value == "true")) == isEqual }
        case "name" where isEqual || sign == "!=":
            matches = { (matchesPattern(value, $0.id)) == isEqual }
        default: throw .filter(text)
        }
    }

    /// Whether an item is meant.
    public func accepts(_ item: CacheItem) -> Bool { matches(item) }

    private static func comparison(_ sign: String) -> @Sendable (Int, Int) -> Bool {
        switch sign {
        case "<": { $0 < $1 }
        case "<=": { $0 <= $1 }
        case ">": { $0 > $1 }
        case ">=": { $0 >= $1 }
        case "!=": { $0 != $1 }
        default: { $0 == $1 }
        }
    }
}

/// Whether the id of an item is as the shell pattern says: the whole, what follows its `://`, or the
/// name of its repository.
public func matchesPattern(_ pattern: String, _ id: String) -> Bool {
    var names = [id]
    if let colon = id.firstIndex(of: ":"), id[colon...].hasPrefix("://") {
        let name = String(id[colon...].dropFirst(3))
        names.append(name)
        for kind in HubRepository.Kind.allCases where name.hasPrefix(kind.rawValue + "s/") {
            names.append(String(name.dropFirst(kind.rawValue.utf8.count + 2)))
        }
    }
    return names.contains { ShellPattern.matches($0, pattern: pattern) }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
