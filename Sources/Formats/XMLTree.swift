// Elements of an XML file by libexpat: entities are refused, nothing is fetched.

internal import CExpat
import GraftTensors

/// An element with its attributes, text and children.
package final class XMLElement {
    package let name: String
    package let attributes: [String: String]
    /// The line that it begins on.
    package let line: Int
    package fileprivate(set) var children: [XMLElement] = []
    private var characters = ""

    fileprivate init(name: String, attributes: [String: String], line: Int) {
        self.name = name
        self.attributes = attributes
        self.line = line
    }

    fileprivate func append(_ text: String) { characters += text }

    /// The text directly in it, without blanks around.
    package var text: String {
        let scalars = characters.unicodeScalars
        guard
            let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }

    /// The first child of a name.
    package subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    /// The children of a name.
    package func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
}

extension XMLElement {
    fileprivate static let countLimit = 20_000_000

    /// The root element of the file at `path`, in UTF-8, UTF-16 or Windows-1252.
    package static func read(_ path: String) throws -> XMLElement {
        try parse(TextBytes(path: path).text, path: path)
    }

    /// The root element of a text.
    package static func parse(_ text: String, path: String) throws(DocumentError) -> XMLElement {
        func failure(_ flaw: DocumentFlaw, line: Int? = nil) -> DocumentError {
            DocumentError(path: path, format: "XML", line: line, flaw: flaw)
        }
        // The text is UTF-8 by now, whatever its declaration says.
        guard let parser = XML_ParserCreate("UTF-8") else {
            throw failure(.refused("out of memory"))
        }
        defer { XML_ParserFree(parser) }
        let builder = Builder(parser)
        XML_SetUserData(parser, Unmanaged.passUnretained(builder).toOpaque())
        XML_SetElementHandler(
            parser,
            { data, name, attributes in
                Builder.at(data)?.begin(name, attributes)
            }, { data, _ in Builder.at(data)?.end() })
        XML_SetCharacterDataHandler(parser) { data, text, count in
            Builder.at(data)?.append(text, count)
        }
        XML_SetEntityDeclHandler(parser) { data, _, _, _, _, _, _, _, _ in
            Builder.at(data)?.stop(.entity)
        }
        var text = text
        let status = withExtendedLifetime(builder) {
            text.withUTF8 { bytes -> XML_Status in
                bytes.withMemoryRebound(to: CChar.self) { bytes in
                    var at = 0
                    // Its lengths are 32-bit.
                    while true {
                        let count = min(bytes.count - at, 1 << 24)
                        let isLast = at + count == bytes.count
                        let start = bytes.baseAddress.map { $0 + at }
                        let status = XML_Parse(parser, start, Int32(count), isLast ? 1 : 0)
                        guard status == XML_STATUS_OK, !isLast else { return status }
                        at += count
                    }
                }
            }
        }
        let line = Int(graft_xml_line(parser))
        if let flaw = builder.flaw { throw failure(flaw, line: line) }
        guard status == XML_STATUS_OK, let root = builder.root else {
            let reason = XML_ErrorString(XML_GetErrorCode(parser)).map { String(cString: $0) }
            throw failure(.refused(reason ?? "it has no element"), line: line)
        }
        return root
    }

    /// Builds the tree as expat meets its parts.
    private final class Builder {
        private let parser: XML_Parser
        private var open: [XMLElement] = []
        private var budget = DocumentBudget(values: countLimit)
        private(set) var root: XMLElement?
        private(set) var flaw: DocumentFlaw?

        init(_ parser: XML_Parser) { self.parser = parser }

        static func at(_ data: UnsafeMutableRawPointer?) -> Builder? {
            data.map { Unmanaged<Builder>.fromOpaque($0).takeUnretainedValue() }
        }

        func stop(_ flaw: DocumentFlaw) {
            if self.flaw == nil { self.flaw = flaw }
            XML_StopParser(parser, 0)
        }

        func begin(
            _ name: UnsafePointer<XML_Char>?,
            _ attributes: UnsafeMutablePointer<UnsafePointer<XML_Char>?>?
        ) {
            guard let name else { return }
            if let flaw = budget.flaw(at: open.count) { return stop(flaw) }
            var values: [String: String] = [:]
            var at = 0
            while let key = attributes?[at], let value = attributes?[at + 1] {
                values[String(cString: key)] = String(cString: value)
                at += 2
            }
            let element = XMLElement(
                name: String(cString: name), attributes: values,
                line: Int(graft_xml_line(parser)))
            open.last?.children.append(element)
            if root == nil { root = element }
            open.append(element)
        }

        func end() { _ = open.popLast() }

        func append(_ text: UnsafePointer<XML_Char>?, _ count: Int32) {
            guard let text else { return }
            let bytes = UnsafeRawBufferPointer(start: text, count: Int(count))
            open.last?.append(String(decoding: bytes, as: UTF8.self))
        }
    }
}
