// What readers of data sets leave out: each cause once, with its count and the first places.

import GraftTensors
import OrderedCollections

/// Entries of a data set that were left out while reading, by cause.
public struct Omissions: Sendable {
    /// A reason to leave something out.
    public enum Cause: Sendable, Hashable {
        /// An annotation whose class number or name the set does not list.
        case unknownClass
        /// An annotation of an image that the file does not list.
        case unknownImage
        /// A listed image that is not on disk.
        case missingImage
        /// An image that cannot be opened, so that shares of its sides mean nothing.
        case unreadableImage
        /// An annotation without any position.
        case noGeometry
        /// A line, element or field that does not follow the format.
        case malformed
        /// A coordinate that is not a finite number.
        case notFinite
        /// A box or outline that covers no pixel.
        case emptyBox
        /// A box outside of its image.
        case outside
        /// A coordinate above 1 where shares of the image's sides are expected.
        case notShares
        /// A second entry with the number of an earlier one.
        case duplicate
        /// A row without a label.
        case noLabel
        /// A value that is not a finite number.
        case noValue
        /// A file of annotations whose image is not there.
        case noImage
        /// An image that no file of annotations is for.
        case unannotated
        /// A detection in an image that is not annotated.
        case strayDetection
        /// A link that leads out of the data set.
        case outwardLink
        /// A folder of a class without images.
        case emptyClass
        /// An image beside the class folders.
        case strayImage
        /// A file or folder that an operating system or archiver left.
        case systemFile
        /// A folder that the set names and that is not there.
        case missingFolder
        /// A folder that is no part of the set.
        case strayFolder
        /// An entry that is written in another way than the format says, and that graft does not read.
        case unsupported
    }

    /// One cause and where it was met.
    struct Group: Sendable {
        var count = 0
        var examples: [String] = []
    }

    private static let exampleLimit = 3
    private(set) var groups: OrderedDictionary<Cause, Group> = [:]

    /// Nothing left out.
    public init() {}

    /// The number of entries that were left out.
    public var count: Int { groups.values.reduce(0) { $0 + $1.count } }

    /// Whether nothing was left out.
    public var isEmpty: Bool { groups.isEmpty }

    /// Counts an entry; `detail` is what was found there.
    mutating func add(_ cause: Cause, at place: AnnotationPlace, _ detail: String = "") {
        var group = groups[cause] ?? Group()
        group.count += 1
        if group.examples.count < Self.exampleLimit {
            group.examples.append("`\(place)`" + (detail.isEmpty ? "" : " (\(detail))"))
        }
        groups[cause] = group
    }

    /// Adds the entries of another reading.
    mutating func add(_ other: Omissions) {
        for (cause, found) in other.groups {
            var group = groups[cause] ?? Group()
            group.count += found.count
            group.examples += found.examples.prefix(Self.exampleLimit - group.examples.count)
            groups[cause] = group
        }
    }

    /// The number of entries that were left out for a cause.
    public func count(of cause: Cause) -> Int { groups[cause]?.count ?? 0 }

    /// A line for each cause: how many, what, and the first places.
    public var lines: [String] {
        groups.map { cause, group in
            let rest = group.count - group.examples.count
            return "\(group.count) \(cause.noun(group.count)): "
                + group.examples.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
        }
    }
}

extension Omissions.Cause {
    /// The entries in words.
    fileprivate func noun(_ count: Int) -> String {
        func plural(_ one: String, _ many: String) -> String { count == 1 ? one : many }
        let annotation = plural("annotation", "annotations")
        return switch self {
        case .unknownClass: "\(annotation) of a class that is not listed"
        case .unknownImage: "\(annotation) of an image that is not listed"
        case .missingImage: plural("image that is", "images that are") + " not on disk"
        case .unreadableImage: plural("image that cannot", "images that cannot") + " be opened"
        case .noGeometry: "\(annotation) without a box"
        case .malformed: plural("entry that does", "entries that do") + " not follow the format"
        case .notFinite: "\(annotation) with a coordinate that is not a finite number"
        case .emptyBox: "\(annotation) that \(plural("covers", "cover")) no pixel"
        case .outside: "\(annotation) outside of the image"
        case .notShares: "\(annotation) with pixels where shares of the sides are expected"
        case .duplicate: plural("entry that occurs", "entries that occur") + " twice"
        case .noLabel: plural("row", "rows") + " without a label"
        case .noValue: plural("row", "rows") + " without a finite number"
        case .noImage: plural("annotation file", "annotation files") + " without an image"
        case .unannotated: plural("image", "images") + " without an annotation file"
        case .strayDetection:
            plural("detection", "detections") + " in images that are not annotated"
        case .outwardLink: plural("link", "links") + " to files outside of the data set"
        case .emptyClass: plural("class folder", "class folders") + " without images"
        case .strayImage: plural("image", "images") + " outside of the class folders"
        case .systemFile: plural("file", "files") + " of an operating system or archiver"
        case .missingFolder: plural("folder that is", "folders that are") + " not there"
        case .strayFolder: plural("folder that is", "folders that are") + " no part of the set"
        case .unsupported: "\(annotation) of a kind that is not supported"
        }
    }
}
