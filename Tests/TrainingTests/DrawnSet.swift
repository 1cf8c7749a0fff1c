// A data set that a test writes: its folder, which lasts as long as the test, and what is in it.

import Foundation
import GraftImages

/// A folder of drawn images and of texts beside them.
final class DrawnSet {
    let root = NSTemporaryDirectory() + "graft-drawn-set-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// Writes a text, and the folders around it.
    func write(_ text: String, to name: String) throws {
        let url = URL(fileURLWithPath: "\(root)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    /// Draws images of 20 × 10 pixels.
    func draw(_ names: [String]) throws {
        for name in names {
            try write("", to: name)
            try Image(width: 20, height: 10).writePNG(to: "\(root)/\(name)")
        }
    }
}
