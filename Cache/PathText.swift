// Paths taken apart at bytes. `Character` is the wrong unit: a slash and the combining mark behind it are
// one of these, and `==` calls two names the same that a file system keeps apart.

extension StringProtocol {
    /// The parts between slashes, without empty ones.
    package var pathParts: [String] {
        let text = Substring(self)
        return text.utf8.split(separator: UInt8(ascii: "/")).map {
            String(text[$0.startIndex..<$0.endIndex])
        }
    }

    /// What precedes the last slash; nil where there is none.
    package var pathParent: String? {
        let text = Substring(self)
        return text.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(text[..<$0]) }
    }

    /// What follows the last slash, or all of it where there is none.
    package var pathLast: String {
        let text = Substring(self)
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return String(text) }
        return String(text[text.utf8.index(after: slash)...])
    }

    /// Whether its bytes begin with those of `prefix`.
    package func hasBytes(_ prefix: some StringProtocol) -> Bool { utf8.starts(with: prefix.utf8) }

    /// What follows so many bytes.
    package func droppingBytes(_ count: Int) -> String {
        String(decoding: utf8.dropFirst(count), as: UTF8.self)
    }
}

/// A text that equals the same bytes only: `é` in one code point and in two are different names.
package struct ExactText: Hashable, Comparable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (a: ExactText, b: ExactText) -> Bool {
        a.text.utf8.elementsEqual(b.text.utf8)
    }

    package static func < (a: ExactText, b: ExactText) -> Bool {
        a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }

    /// The folders that the path lies below: `a` and `a/b` of `a/b/c`. Parted by bytes, since a slash
    /// with a combining mark is one character.
    package var foldersAbove: [ExactText] {
        let bytes = Array(text.utf8)
        return bytes.indices.filter { bytes[$0] == UInt8(ascii: "/") }.map {
            ExactText(String(decoding: bytes[..<$0], as: UTF8.self))
        }
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
