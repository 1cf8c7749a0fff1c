// Where the images of a table or a file of annotations are looked for, and what is said of it.

import Foundation
import Testing

@testable import GraftTraining

@Suite final class ImageFinderTests {
    let root = NSTemporaryDirectory() + "graft-finder-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private func put(_ names: String..., text: String = "x") throws {
        for name in names {
            let url = URL(fileURLWithPath: "\(root)/\(name)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    private func finder(_ folder: String, _ change: (inout PhotoReading) -> Void = { _ in })
        -> ImageFinder
    {
        var reading = PhotoReading()
        change(&reading)
        return ImageFinder(near: "\(root)/\(folder)", reading)
    }

    @Test func aSharedParentSaysNothing() throws {
        try put("mine/labels.csv", "other/1.jpg", "images/1.jpg")
        #expect(finder("mine").find("1.jpg") == nil)
        // Unless the table says so, or an option does.
        #expect(finder("mine").find("../other/1.jpg") == "\(root)/mine/../other/1.jpg")
        let chosen = finder("mine") { $0.folder = "\(self.root)/other" }
        #expect(chosen.find("1.jpg") == "\(root)/other/1.jpg" && chosen.notes.isEmpty)
    }

    @Test func aFolderOfAnnotationsIsAPartOfASet() throws {
        try put("set/annotations/a.json", "set/images/1.jpg", "set/scans/2.jpg")
        let finder = finder("set/annotations")
        #expect(finder.find("1.jpg")?.hasSuffix("images/1.jpg") == true && finder.notes.isEmpty)
        #expect(finder.find("2.jpg")?.hasSuffix("scans/2.jpg") == true)
        #expect(finder.notes.count == 1 && finder.notes[0].contains("--folder"))
        #expect(finder.notes[0].hasPrefix("1 image is taken from `"))
    }

    @Test func namesakesAreSaid() throws {
        try put("set/labels.csv", "set/a/1.jpg", "set/b/1.jpg", "set/b/2.jpg")
        let finder = finder("set")
        #expect(finder.find("2.jpg") == "\(root)/set/b/2.jpg" && finder.notes.isEmpty)
        #expect(finder.find("1.jpg") == "\(root)/set/a/1.jpg")
        #expect(finder.notes.count == 1 && finder.notes[0].contains("`1.jpg`"))
        #expect(finder.find("b/1.jpg") == "\(root)/set/b/1.jpg")
    }

    @Test func accentsMayBeEncodedInAnotherWay() throws {
        try put("set/images/caf\u{E9}.jpg")
        #expect(finder("set").find("cafe\u{301}.jpg") != nil)
    }
}
