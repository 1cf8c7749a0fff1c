// The parsers of text: YAML, XML, JSON and tables, with what people's files have and what hostile ones try.

import Foundation
import GraftTensors
import Testing

@testable import GraftFormats

@Suite struct DocumentTests {
    private func bytes(_ text: String, _ encoding: String.Encoding) -> [UInt8] {
        Array(text.data(using: encoding) ?? Data())
    }

    private func text(_ bytes: [UInt8]) -> TextBytes { bytes.withUnsafeBytes { TextBytes($0) } }

    private func flaw(_ body: () throws -> Void) -> DocumentFlaw? {
        do {
            try body()
            return nil
        } catch {
            return (error as? DocumentError)?.flaw
        }
    }

    @Test func encodingsAreTold() {
        #expect(text(bytes("\u{FEFF}é", .utf8)).text == "é")
        #expect(text([0xFF, 0xFE, 0x61, 0, 0xE9, 0]).text == "aé")
        #expect(text([0xFE, 0xFF, 0, 0x61, 0, 0xE9]).text == "aé")
        #expect(text(bytes("path,label\n", .utf16LittleEndian)).text == "path,label\n")
        #expect(text([0x63, 0x61, 0x66, 0xE9]).text == "café")
        #expect(text([0x63, 0x61, 0x66, 0xE9]).encoding == .windows1252)
        #expect(text([0x80]).text == "€")
        #expect(text([]).text == "")
    }

    @Test func linesEndInThreeWays() {
        let lines = text(Array("a\r\nb\rc\n\nd".utf8)).lines
        #expect(lines.map { String($0.text) } == ["a", "b", "c", "", "d"])
        #expect(lines.map(\.number) == [1, 2, 3, 4, 5])
    }

    @Test(arguments: [",", ";", "\t", "|"])
    func tablesFindTheirSeparator(separator: String) throws {
        let rows = [
            ["path", "label"], ["a 1.jpg", "cat"], ["b.jpg", "x\(separator)\"y\"\nz"], ["c", ""],
        ]
        let text = rows.map { row in
            row.map {
                $0.contains("\"") ? "\"" + $0.replacing("\"", with: "\"\"") + "\"" : " \($0) "
            }
            .joined(separator: separator)
        }.joined(separator: "\r\n")
        let table = try DelimitedText(text, path: "t")
        #expect(table.rows.map(\.fields) == rows)
        #expect(table.rows.map(\.line) == [1, 2, 3, 5])
    }

    @Test func aQuoteThatNeverClosesIsNamedByItsLine() {
        #expect(
            throws: DocumentError(path: "t", format: "CSV", line: 2, flaw: .openQuote)
        ) { try DelimitedText("a,b\nx,\"y\nz,w\n", path: "t") }
    }

    @Test func yamlIsReadAsWritten() throws {
        let tree = try YAMLTree.parse(
            "# c\r\nnames:\r\n  2: bird\r\n  0: 'C#'\r\ntrain: [a, ../b]\r\nnc: 3\r\nval:\r\nx: &a [1]\r\ny: *a\r\n",
            path: "d.yaml")
        #expect(
            tree["names"]
                == .map([
                    .init(key: "2", value: .text("bird")), .init(key: "0", value: .text("C#")),
                ]))
        #expect(tree["train"]?.texts == ["a", "../b"])
        #expect(tree["val"] == .null && tree["y"]?.texts == ["1"])
        #expect(try YAMLTree.parse("", path: "e") == .null)
    }

    @Test func yamlHasLimits() {
        let bomb = "a: &a [x,x]\n" + (0..<20).map { "b\($0): [*a, *a]\n" }.joined()
        #expect(
            flaw { _ = try YAMLTree.parse(bomb, path: "y") }
                == .tooManyAliases(count: 40, limit: 16))
        let deep = String(repeating: "[", count: 100_000)
        #expect(flaw { _ = try YAMLTree.parse(deep, path: "y") } == .tooDeep(limit: 64))
        let dashes = String(repeating: "- ", count: 100_000)
        #expect(flaw { _ = try YAMLTree.parse(dashes, path: "y") } == .tooDeep(limit: 64))
        let large = String(repeating: "a", count: 9 << 20)
        #expect(
            flaw { _ = try YAMLTree.parse(large, path: "y") }
                == .tooLarge(byteCount: 9 << 20, limit: 8 << 20))
        #expect(throws: DocumentError.self) { try YAMLTree.parse("a: [b", path: "y") }
        #expect(throws: DocumentError.self) { try YAMLTree.parse("a: b\n\tc: d", path: "y") }
    }

    @Test func xmlIsATree() throws {
        let root = try XMLElement.parse(
            "<?xml version=\"1.0\" encoding=\"GB2312\"?>\n<!-- <a>no</a> -->\n<a n='1'> x &amp; <![CDATA[<y>]]> <b>1</b>\n<b>2</b></a>",
            path: "a.xml")
        #expect(root.name == "a" && root.attributes == ["n": "1"])
        #expect(root.text == "x & <y>")
        #expect(root.all("b").map(\.text) == ["1", "2"] && root["b"]?.line == 3)
        #expect(root.all("b")[1].line == 4)
    }

    @Test func xmlRefusesEntitiesAndDepth() {
        let entity = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"
        #expect(flaw { _ = try XMLElement.parse(entity, path: "x") } == .entity)
        let deep = String(repeating: "<a>", count: 1_000)
        #expect(flaw { _ = try XMLElement.parse(deep, path: "x") } == .tooDeep(limit: 64))
        for text in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&c;</a>"] {
            #expect(throws: DocumentError.self) { try XMLElement.parse(text, path: "x") }
        }
    }

    @Test func jsonOfOtherPrograms() throws {
        let tree = try JSONTree.parse(
            "\u{FEFF}{\"a\": [1, 2.5, NaN, -Infinity], \"b\": [1, \"x\"], \"a\": {\n\"c\": \"\\ud83d\\ude00\\ud83d\"},\r\n\"n\": 9007199254740993}",
            path: "j")
        let object = try #require(tree.object)
        // Of a name that is there twice, the last counts.
        #expect(object["a"]?.object?["c"]?.string == "😀\u{FFFD}")
        #expect(object["a"]?.object?.line == 1)
        #expect(object["b"] == .list([.number(1), .text("x")]))
        #expect(object["n"]?.name == "9007199254740993")
        let numbers = try JSONTree.parse("[1, 2.5, NaN]", path: "j").numbers ?? []
        #expect(numbers.count == 3 && numbers[1] == 2.5 && numbers[2].isNaN)
        #expect(try JSONTree.parse("[]", path: "j") == .list([]))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "tru", "\"a", "[1 2]", "{\"a\":1,}", "-", "1 2", "\"\\x\"",
    ])
    func brokenJSONIsExplained(text: String) {
        let error = #expect(throws: DocumentError.self) { try JSONTree.parse(text, path: "j") }
        guard case .expected = error?.flaw else {
            Issue.record("\(text): \(String(describing: error))")
            return
        }
    }

    @Test func jsonNestsToALimit() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(flaw { _ = try JSONTree.parse(deep, path: "j") } == .tooDeep(limit: 64))
        #expect(
            flaw {
                _ = try [0x22, 0xFF, 0x22].withUnsafeBytes {
                    _ = try JSONTree.parse(UnsafeRawBufferPointer(rebasing: $0[...]), path: "j")
                }
            } != nil)
    }
}
