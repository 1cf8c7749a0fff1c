// Contact sheets: many images with their boxes and labels on one page, as HTML or PNG.
//
// A sheet is made for a path, filled image by image, and written once:
//
//     var sheet = try ContactSheet(path: "out.html", title: "bccd", classes: ["RBC", "WBC"])
//     try sheet.add(image, name: "a.jpg", caption: "12 boxes", marks: [.init(label: "RBC", box: box)])
//     sheet.facts.append("364 images")
//     try sheet.write()
//
// An image is reduced when it is added, so that a sheet keeps thumbnails only. The page needs no
// network and no script, and fits a phone. Boxes and polygons are in pixels of the image as added.

package import GraftImages
import GraftTensors

/// A page of thumbnails with boxes, polygons and labels on them.
package struct ContactSheet: Sendable {
    /// Something that is marked in an image.
    package struct Mark: Sendable {
        /// Its class.
        package var label: String
        /// Its bounding box in pixels; nil is a label of the whole image.
        package var box: Box?
        /// The corners of its outlines, in pixels: x, y, x, y, …
        package var polygons: [[Double]] = []
        /// The confidence of a prediction.
        package var score: Double?
        /// Drawn with a broken line: a crowd or a difficult object.
        package var isDashed = false
        /// Drawn with a thick line: something to look at first.
        package var isHighlighted = false

        /// A mark of a class.
        package init(
            label: String, box: Box? = nil, polygons: [[Double]] = [], score: Double? = nil,
            isDashed: Bool = false
        ) {
            self.label = label
            self.box = box
            self.polygons = polygons
            self.score = score
            self.isDashed = isDashed
        }
    }

    /// The kinds of file that a sheet is written to.
    enum Format: String, CaseIterable {
        case html, png
    }

    /// An image that was reduced and placed on the sheet.
    struct Entry: Sendable {
        var name: String
        var caption: String
        /// The section that it is shown in; empty is none.
        var section: String
        /// The thumbnail: a JPEG on a page, pixels in a drawing; nil where it could not be read.
        var jpeg: [UInt8] = []
        var thumbnail: Image?
        /// The size of the image as added.
        var width: Double
        var height: Double
        var marks: [Mark]
    }

    /// The page's title.
    package var title: String
    /// Short statements under the title: how many images, how many boxes.
    package var facts: [String] = []
    /// Findings, one per line, above the images.
    package var findings: [String] = []
    /// How many images a section stands for, where only some are shown.
    package var sectionTotals: [String: Int] = [:]
    /// The classes in the order of their colours; others are added as they come.
    package private(set) var classes: [String]
    /// The number of images on the sheet.
    package var count: Int { entries.count }

    let path: String
    let format: Format
    let thumbnailSide: Int
    private(set) var entries: [Entry] = []
    private var places: [String: Int]

    /// An empty sheet that ``write()`` puts at `path`.
    ///
    /// - Parameter thumbnailSide: The longest side of a thumbnail in pixels.
    /// - Throws: ``ContactSheetError`` unless the path ends in .html, .htm or .png.
    package init(path: String, title: String, classes: [String] = [], thumbnailSide: Int = 480)
        throws
    {
        self.format = try Self.format(of: path)
        self.path = path
        self.title = title
        self.classes = classes
        self.thumbnailSide = min(max(thumbnailSide, 16), 4096)
        self.places = Dictionary(
            classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Throws ``ContactSheetError`` unless a sheet can be written to a path with this ending.
    package static func check(path: String) throws { _ = try format(of: path) }

    private static func format(of path: String) throws -> Format {
        let name = path.split(separator: "/").last ?? ""
        let ending = name.contains(".") ? name.split(separator: ".").last?.lowercased() : nil
        switch ending {
        case "html", "htm": return .html
        case "png": return .png
        default: throw ContactSheetError.ending(path)
        }
    }

    /// Places an image; in `section` with others of it, if it has one.
    package mutating func add(
        _ image: Image, name: String, caption: String = "", section: String = "",
        marks: [Mark] = []
    ) throws {
        let width = image.extent.right - image.extent.left
        let height = image.extent.bottom - image.extent.top
        let share = min(1, Double(thumbnailSide) / max(width, height))
        let size = [width, height].map { max(1, Int(($0 * share).rounded())) }
        let thumbnail =
            share < 1 ? image.resized(width: size[0], height: size[1], .bilinear) : image
        var entry = Entry(
            name: name, caption: caption, section: section, width: width, height: height,
            marks: marks)
        switch format {
        case .html: entry.jpeg = try thumbnail.jpeg(quality: 80)
        case .png: entry.thumbnail = thumbnail
        }
        place(entry)
    }

    /// Places a note where an image cannot be shown.
    package mutating func add(unreadable name: String, caption: String, section: String = "") {
        place(
            Entry(
                name: name, caption: caption, section: section, width: 4, height: 3, marks: []))
    }

    private mutating func place(_ entry: Entry) {
        for mark in entry.marks where places[mark.label] == nil {
            places[mark.label] = classes.count
            classes.append(mark.label)
        }
        entries.append(entry)
    }

    /// Whether nothing but thumbnails and labels is shown: then many fit on a screen.
    var isCompact: Bool {
        entries.allSatisfy { $0.marks.allSatisfy { $0.box == nil && $0.polygons.isEmpty } }
    }

    /// The heading of a section: its name and the number of its images.
    func heading(_ name: String, shown: Int) -> (name: String, count: String) {
        let total = sectionTotals[name] ?? shown
        let count = shown < total ? "\(grouped(shown)) of \(grouped(total))" : grouped(shown)
        return (name, "\(count) image\(total == 1 ? "" : "s")")
    }

    /// The number of a class, which is its colour's.
    func number(of label: String) -> Int { places[label] ?? 0 }

    /// The sections in the order of their first image, with their entries.
    var sections: [(name: String, entries: [Entry])] {
        var order: [String: Int] = [:]
        var result: [(name: String, entries: [Entry])] = []
        for entry in entries {
            if let place = order[entry.section] {
                result[place].entries.append(entry)
            } else {
                order[entry.section] = result.count
                result.append((entry.section, [entry]))
            }
        }
        return result
    }

    /// Writes the sheet; what was there before stays until all is written.
    package func write() throws {
        var file = try AtomicFile(replacing: path)
        switch format {
        case .html: try html { try file.write(Array($0.utf8)) }
        case .png: try file.write(drawing().png())
        }
        try file.commit(durably: false)
    }
}

/// A contact sheet that cannot be written.
package enum ContactSheetError: Diagnostic, Equatable {
    /// The path ends in neither .html nor .png.
    case ending(String)

    /// The cause.
    package var message: String {
        switch self {
        case .ending(let path): "expected a sheet named .html or .png, found `\(path)`"
        }
    }

    /// The remedy.
    package var hint: String? { "for example: --sheet sheet.html" }
}
