// How the images of a run are recognised again: by their contents, or of older runs by their names.

import Foundation
import GraftTraining
import Testing

@Suite struct TrainedImagesTests {
    private func item(_ name: String) -> PhotoFolder.Item {
        PhotoFolder.Item(path: name, relativePath: name, classIndex: 0)
    }

    private func digest(_ text: String) -> PhotoDigest {
        Array(text.utf8).withUnsafeBytes { FeatureCache.name(of: $0) }
    }

    @Test func contentsDecideWhereTheyAreKnown() {
        var split = Split(seed: 1, fraction: 0.5, training: ["a/1"], validation: ["a/2"])
        split.trainingDigests = [digest("one").hexadecimal]
        split.validationDigests = [digest("two").hexadecimal]
        let images = TrainedImages(split)
        #expect(images.evidence == .contents)
        #expect(images.isTraining(item("renamed"), digest: digest("one")))
        #expect(!images.isTraining(item("a/1"), digest: digest("three")))
        #expect(images.isValidation(item("renamed"), digest: digest("two")))
        #expect(!images.isValidation(item("a/2"), digest: digest("one")))
    }

    @Test func namesDecideWhereContentsAreNotKnown() {
        let images = TrainedImages(
            Split(seed: 1, fraction: 0.5, training: ["a/1", "a/3"], validation: ["a/2", "a/3"]))
        #expect(images.evidence == .names)
        #expect(images.isTraining(item("a/1"), digest: digest("any")))
        #expect(!images.isTraining(item("b/1"), digest: digest("any")))
        // A name on both sides is of two images of two folders: it is not held against the model.
        #expect(!images.isTraining(item("a/3"), digest: digest("any")))
        #expect(images.isValidation(item("a/2"), digest: digest("any")))
    }

    @Test func aModelKnowsItsOwnSplit() {
        var split = Split(seed: 1, fraction: 0.5, training: ["a/1"], validation: ["a/2"])
        let bare = TrainingOrigin(split)
        split.trainingDigests = [digest("one").hexadecimal]
        let origin = TrainingOrigin(split)
        #expect(origin != bare && origin == TrainingOrigin(split) && origin.images == 1)
        let moved = Split(seed: 1, fraction: 0.5, training: ["a/1", "a/2"], validation: [])
        #expect(TrainingOrigin(moved) != bare)
    }

    @Test func aFileThatIsNoSplitIsNamed() throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-split-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try #"{"seed": 1}"#.write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: TrainedImagesError.notASplit(path)) { try Split.read(path) }
    }
}
