// Contact sheets: what is placed on one is on the page, where it was placed, and nothing from outside is markup.

import Foundation
import GraftImages
import Testing

@testable import GraftTraining

@Suite struct ContactSheetTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "graft-sheet-\(UUID().uuidString)").path

    init() throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }

    private func filled(_ name: String) throws -> ContactSheet {
        var sheet = try ContactSheet(
            path: folder + "/" + name, title: "a <set>", classes: ["cat", "dog"])
        let box = Box(left: 10, top: 20, right: 60, bottom: 70)
        try sheet.add(
            Image(width: 100, height: 100), name: "one.jpg", caption: "2 boxes",
            marks: [
                .init(label: "dog", box: box, score: 0.875),
                .init(
                    label: "a&b", box: box, polygons: [[10, 20, 60, 20, 60, 70]], isDashed: true),
            ])
        try sheet.add(
            Image(width: 900, height: 30), name: "two.jpg", section: "cat",
            marks: [.init(label: "cat")])
        sheet.add(unreadable: "three.jpg", caption: "truncated")
        sheet.findings = ["`x`: 1 box outside"]
        return sheet
    }

    @Test func aPageHasEveryMarkInItsPlaceAndEscapesNames() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let sheet = try filled("out.html")
        #expect(sheet.classes == ["cat", "dog", "a&b"] && sheet.count == 3)
        try sheet.write()
        let page = try String(contentsOfFile: folder + "/out.html", encoding: .utf8)
        #expect(page.contains("<title>a &lt;set&gt;</title>") && !page.contains("<set>"))
        #expect(page.contains("<rect class=k1 x=100.0 y=200.0 width=500.0 height=\"500.0\">"))
        #expect(page.contains("points=\"100.0,200.0 600.0,200.0 600.0,700.0\" stroke-dasharray"))
        #expect(page.contains("dog 0.88") && page.contains("a&amp;b"))
        #expect(page.contains("<h2>cat <small>1 image</small></h2>"))
        #expect(page.contains("not readable") && page.contains("`x`: 1 box outside"))
        #expect(page.components(separatedBy: "data:image/jpeg;base64,").count == 3)
        for word in ["<script", "http://", "https://"] { #expect(!page.contains(word)) }
    }

    @Test func aDrawingHasBoxesInTheColoursOfTheLegend() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try filled("out.png").write()
        let image = try Image.decode(path: folder + "/out.png")
        func count(_ color: Color) -> Int {
            (0..<image.height).reduce(0) { sum, y in
                sum + (0..<image.width).count { image[$0, y] == color }
            }
        }
        // The box is 120 pixels a side on the sheet, its line at least 2; the legend has squares.
        #expect(count(Image.ink(1)) > 4 * 120 && count(Image.ink(2)) > 120)
        #expect(count(Image.ink(0)) >= 144)
    }

    @Test func marksWithoutANumberNeitherTrapNorLeaveTheImage() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["a.html", "a.png"] {
            var sheet = try ContactSheet(path: folder + "/" + name, title: "odd")
            let odd: [Double] = [.nan, .infinity, -.infinity, 1e300, -1e300, 0]
            for value in odd {
                try sheet.add(
                    Image(width: 8, height: 8), name: "x",
                    marks: [
                        .init(
                            label: "a",
                            box: Box(left: value, top: -value, right: value, bottom: 3),
                            polygons: [[value, 1, 2, value, 5], [value]], score: value)
                    ])
            }
            try sheet.write()
        }
    }

    @Test func otherEndingsAreRefusedBeforeAnythingIsDrawn() {
        for path in ["out.pdf", "html", "a.html/b", ""] {
            #expect(throws: ContactSheetError.ending(path)) { try ContactSheet.check(path: path) }
        }
    }

    @Test func anImageBecomesTheSameImageAsJPEG() throws {
        let image = DrawnShapes.circle.image(seed: 3, size: 64)
        let read = try Image.decode(image.jpeg(quality: 95), name: "x")
        #expect(read.width == 64 && read.height == 64)
        let distance = zip(image.pixels, read.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(distance < 12 * image.pixels.count)
        #expect(throws: ImageError.self) { try Image(width: 65_501, height: 1).jpeg() }
    }
}
