// `Link` fields (RFC 8288): where a list continues.

/// The links of an answer.
enum LinkHeader {
    /// One link: its target, and its relations in lower case.
    struct Link: Equatable {
        let target: String
        let relations: [String]
    }

    /// The links of one field; nil where it is not written as the RFC says.
    static func links(_ field: String) -> [Link]? {
        let bytes = Array(field.utf8)
        var at = 0
        func byte() -> UInt8? { at < bytes.count ? bytes[at] : nil }
        func skip(_ test: (UInt8) -> Bool) { while at < bytes.count, test(bytes[at]) { at += 1 } }
        func taken(_ test: (UInt8) -> Bool) -> String {
            let start = at
            skip(test)
            return String(decoding: bytes[start..<at], as: UTF8.self)
        }
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
        func isEnd(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") || isBlank(byte)
        }
        func quoted() -> String? {
            var text: [UInt8] = []
            at += 1
            while let next = byte(), next != UInt8(ascii: "\"") {
                if next == UInt8(ascii: "\\") { at += 1 }
                guard let literal = byte() else { return nil }
                text.append(literal)
                at += 1
            }
            guard byte() != nil else { return nil }
            at += 1
            return String(decoding: text, as: UTF8.self)
        }
        var links: [Link] = []
        while true {
            skip { isBlank($0) || $0 == UInt8(ascii: ",") }
            guard let first = byte() else { return links }
            guard first == UInt8(ascii: "<") else { return nil }
            at += 1
            let target = taken { $0 != UInt8(ascii: ">") }
            guard byte() != nil else { return nil }
            at += 1
            var relations: [String]?
            skip(isBlank)
            while byte() == UInt8(ascii: ";") {
                at += 1
                skip(isBlank)
                let name = taken { !isEnd($0) && $0 != UInt8(ascii: "=") }.lowercased()
                skip(isBlank)
                guard byte() == UInt8(ascii: "=") else { continue }
                at += 1
                skip(isBlank)
                let value: String
                if byte() == UInt8(ascii: "\"") {
                    guard let text = quoted() else { return nil }
                    value = text
                } else {
                    value = taken { !isEnd($0) }
                }
                skip(isBlank)
                // Of several the first one counts.
                if name == "rel", relations == nil {
                    relations = value.lowercased().split { " \t".contains($0) }.map(String.init)
                }
            }
            guard byte() == nil || byte() == UInt8(ascii: ",") else { return nil }
            links.append(Link(target: target, relations: relations ?? []))
        }
    }
}
