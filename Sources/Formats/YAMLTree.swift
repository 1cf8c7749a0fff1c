// The values of a YAML file by Yams (libyaml), within limits on its size, depth and aliases.

import GraftTensors
internal import Yams

/// A value of a YAML document. Scalars keep their text: `0` and `yes` may be names of classes.
package enum YAMLTree: Sendable, Equatable {
    case null
    case text(String)
    case list([YAMLTree])
    case map([Entry])

    /// A key and its value, in the order of the file.
    package struct Entry: Sendable, Equatable {
        package let key: String
        package let value: YAMLTree
    }

    /// The value of a key of a map.
    package subscript(key: String) -> YAMLTree? {
        guard case .map(let entries) = self else { return nil }
        return entries.last { $0.key == key }?.value
    }

    /// The text of a scalar.
    package var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// The texts of a list of scalars, or the text of a scalar alone.
    package var texts: [String]? {
        switch self {
        case .text(let text): [text]
        case .list(let values):
            values.allSatisfy { $0.text != nil } ? values.compactMap(\.text) : nil
        default: nil
        }
    }
}

extension YAMLTree {
    private static let sizeLimit = 8 << 20
    private static let depthLimit = DocumentBudget.depthLimit
    private static let indentLimit = 256
    private static let aliasLimit = 16
    private static let countLimit = 1_000_000

    /// The first document of the file at `path`.
    package static func read(_ path: String) throws -> YAMLTree {
        try parse(TextBytes(path: path).text, path: path)
    }

    /// The first document of a text.
    package static func parse(_ text: String, path: String) throws(DocumentError) -> YAMLTree {
        func failure(_ flaw: DocumentFlaw, line: Int? = nil) -> DocumentError {
            DocumentError(path: path, format: "YAML", line: line, flaw: flaw)
        }
        guard text.utf8.count <= sizeLimit else {
            throw failure(.tooLarge(byteCount: text.utf8.count, limit: sizeLimit))
        }
        if let flaw = excess(in: text) { throw failure(flaw) }
        do {
            // The text is UTF-8 by now, whatever the environment says.
            let parser = try Parser(yaml: text, encoding: .utf8)
            guard let root = try parser.nextRoot() else { return .null }
            var budget = DocumentBudget(values: countLimit)
            return try tree(root, depth: 0, &budget)
        } catch let flaw as DocumentFlaw {
            throw failure(flaw)
        } catch let error as YamlError {
            throw failure(.refused(reason(error).text), line: reason(error).line)
        } catch {
            throw failure(.refused("it cannot be parsed"))
        }
    }

    /// What could make the parser work without bound, found before it starts. Names in quotes may hold
    /// such characters too, but not so many.
    private static func excess(in text: String) -> DocumentFlaw? {
        var (depth, aliases, indent) = (0, 0, 0)
        var isIndent = true
        var before: UInt8 = 10
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth > depthLimit { return .tooDeep(limit: depthLimit) }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(depth - 1, 0)
            default: break
            }
            if byte == 10 || byte == 13 {
                (isIndent, indent) = (true, 0)
            } else if isIndent, " -?:\t".utf8.contains(byte) {
                indent += 1
                if indent > indentLimit { return .tooDeep(limit: depthLimit) }
            } else {
                isIndent = false
            }
            let isWord = byte > 32 && byte != UInt8(ascii: "*")
            if before == UInt8(ascii: "*"), isWord { aliases += 1 }
            // Only a star after a blank or a bracket begins an alias.
            before = byte == UInt8(ascii: "*") && !" \t\n\r[{,:-?".utf8.contains(before) ? 0 : byte
        }
        return aliases > aliasLimit
            ? .tooManyAliases(count: aliases, limit: aliasLimit) : nil
    }

    private static func tree(_ node: Node, depth: Int, _ budget: inout DocumentBudget)
        throws(DocumentFlaw) -> YAMLTree
    {
        // What is nested by brackets or indentation was bounded before; aliases nest what they stand for.
        if let flaw = budget.flaw(at: depth, limit: depthLimit * 2 + indentLimit) { throw flaw }
        switch node {
        case .scalar(let scalar):
            let isNull =
                scalar.style == .plain
                && ["", "~", "null", "Null", "NULL"]
                    .contains(scalar.string)
            return isNull ? .null : .text(scalar.string)
        case .sequence(let nodes):
            var values: [YAMLTree] = []
            for node in nodes { values.append(try tree(node, depth: depth + 1, &budget)) }
            return .list(values)
        case .mapping(let pairs):
            var entries: [Entry] = []
            for (key, node) in pairs {
                let value = try tree(node, depth: depth + 1, &budget)
                guard case .scalar(let name) = key else { continue }
                entries.append(Entry(key: name.string, value: value))
            }
            return .map(entries)
        case .alias: return .null
        }
    }

    private static func reason(_ error: YamlError) -> (text: String, line: Int?) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            (problem, mark.line)
        case .reader(let problem, _, _, _): (problem, nil)
        case .duplicatedKeysInMapping(let keys, let context):
            ("the key `\(keys.first ?? "")` occurs twice", context.mark.line)
        case .memory: ("out of memory", nil)
        default: ("it cannot be parsed", nil)
        }
    }
}
