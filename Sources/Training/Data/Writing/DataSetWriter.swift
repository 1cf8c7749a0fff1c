// Writes a data set in another format: names, sizes and splits are settled here, each format has its file.

import GraftFormats
import GraftImages
import GraftTensors

/// What was written.
public struct WrittenDataSet: Sendable {
    /// The folder.
    public var path: String
    /// The format.
    public var format: DataSetFormat
    /// The number of images, and of annotations, that the set has now.
    public var imageCount = 0
    /// The number of annotations.
    public var annotationCount = 0
    /// The classes in their order.
    public var classes: [String] = []
    /// The number of images of each split; empty if the set is not divided.
    public var splits: [DataSplit: Int] = [:]
    /// The number of images that were linked; the others were copied or not placed.
    public var linkCount = 0
    /// What the format cannot hold.
    public var uncarried = Uncarried()
    /// What somebody who uses the set has to know.
    public var notes: [String] = []

    /// A line for each kind of content that the format cannot hold.
    public var warnings: [String] {
        uncarried.lines.map {
            "\(format.title) \(format == .folders ? "do" : "does") not hold \($0)"
        }
    }
}

/// A data set on its way into a format.
struct DataSetWriter: ~Copyable {
    /// An image with its new name.
    struct Output {
        var image: AnnotatedImage
        /// Its file name, unique in the set.
        var name: String
        var width: Int
        var height: Int

        /// The name without its extension.
        var stem: String {
            name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
        }
    }

    /// An annotation that has a place in the format, with its box.
    struct BoxedObject {
        var annotation: Annotation
        var box: Box
        var classIndex: Int
    }

    let format: DataSetFormat
    let placement: ImagePlacement
    /// The classes in their order.
    let classes: [String]
    let keypointNames: [String: [String]]
    /// The names of the numbers of each image, if it has numbers.
    let valueNames: [String]
    /// The program that predicted the annotations, where one did.
    let writer: String
    /// COCO's numbers of the classes, where the set has one for each.
    let categoryNumbers: [Int]?
    let isDivided: Bool
    /// Whether the set that was read gives its classes an order.
    let hasClassOrder: Bool
    /// Whether any annotation is a label of a whole image.
    let hasLabels: Bool
    var outputs: [Output] = []
    var folder: DataSetFolder
    var report: WrittenDataSet
    private let classPlaces: [String: Int]

    init(
        _ set: AnnotatedImages, to path: String, as format: DataSetFormat,
        images placement: ImagePlacement
    ) throws {
        let folder = try DataSetFolder(creating: path)
        self.format = format
        self.placement = placement
        let occurring = Set(set.images.flatMap { $0.annotations.map(\.label) })
        classes = set.orderedClasses(occurring)
        classPlaces = places(classes)
        (keypointNames, valueNames, writer) = (set.keypointNames, set.valueNames, set.writer)
        let numbers = classes.map { name in set.categories.first { $0.value == name }?.key }
        let known = numbers.compactMap(\.self)
        categoryNumbers =
            known.count == classes.count && Set(known).count == known.count ? known : nil
        hasClassOrder = !set.classes.isEmpty
        isDivided = set.images.contains { $0.split != nil }
        hasLabels = set.images.contains { $0.annotations.contains(where: \.isWholeImage) }
        report = WrittenDataSet(path: path, format: format)
        report.classes = classes
        self.folder = folder
        settle(set)
    }

    /// Gives each image a name and a size.
    private mutating func settle(_ set: AnnotatedImages) {
        var taken: Set<String> = []
        for image in set.images {
            guard !image.isMissing || placement == .none else {
                report.uncarried.add(.missingImages)
                continue
            }
            guard let size = image.size else {
                report.uncarried.add(.unsizedImages)
                continue
            }
            let wanted = image.plainName
            var name = wanted
            if !taken.insert(name.lowercased()).inserted {
                // Images of several folders may have one name.
                name = image.longName
                var number = 2
                while !taken.insert(name.lowercased()).inserted {
                    name = wanted.numbered(number)
                    number += 1
                }
                report.uncarried.add(.names)
            }
            outputs.append(Output(image: image, name: name, width: size.width, height: size.height))
            if image.group != nil { report.uncarried.add(.groups) }
        }
    }

    /// The folder of an image's split: `train`, `val`, `test`; empty if the set is not divided.
    func splitName(_ split: DataSplit?) -> String {
        guard isDivided else { return "" }
        // Images of no split in a divided set are learned from.
        return (split ?? .training).short
    }

    /// The splits in their order with their images.
    var parts: [(name: String, outputs: [Output])] {
        guard isDivided else { return [("", outputs)] }
        return DataSplit.allCases.compactMap { split in
            let part = outputs.filter { ($0.image.split ?? .training) == split }
            return part.isEmpty ? nil : (split.short, part)
        }
    }

    /// Puts the image of an output into the set.
    mutating func place(_ output: Output, in folder: String) throws {
        guard placement != .none else { return }
        let name = folder.isEmpty ? output.name : folder + "/" + output.name
        let image = output.image
        if image.isPartOfFile {
            try image.withBytes { try self.folder.add(bytes: $0, as: name) }
        } else if try self.folder.add(file: image.path, as: name, linking: placement == .link) {
            report.linkCount += 1
        }
    }

    /// The objects of an image that have a box, without those that the format cannot hold.
    ///
    /// - Parameter carries: What the format holds beside boxes.
    mutating func objects(_ output: Output, carrying carries: Set<Uncarried.Kind>) -> [BoxedObject]
    {
        var objects: [BoxedObject] = []
        if output.image.annotations.isEmpty, format == .folders {
            report.uncarried.add(.emptyImages)
        }
        for annotation in output.image.annotations {
            func lose(_ kind: Uncarried.Kind, if isThere: Bool = true) {
                if isThere, !carries.contains(kind) { report.uncarried.add(kind) }
            }
            guard !annotation.isWholeImage else {
                lose(.labels)
                continue
            }
            guard let box = annotation.boundingBox else {
                lose(annotation.mask != nil ? .maskFiles : .keypoints)
                continue
            }
            guard !annotation.isCrowd || carries.contains(.crowds) else {
                lose(.crowds)
                continue
            }
            lose(.polygons, if: !annotation.polygons.isEmpty)
            lose(.orientedBoxes, if: !annotation.orientedBox.isEmpty)
            lose(.masks, if: annotation.mask != nil)
            lose(.keypoints, if: !annotation.keypoints.isEmpty)
            lose(.flags, if: annotation.isDifficult)
            lose(.flags, if: annotation.isTruncated)
            lose(.scores, if: annotation.score != nil)
            lose(.areas, if: annotation.area.map { abs($0 - box.area) > 0.5 } ?? false)
            guard let place = classPlaces[annotation.label] else { continue }
            objects.append(BoxedObject(annotation: annotation, box: box, classIndex: place))
        }
        return objects
    }

    /// Counts what a format loses that has no list of its classes.
    mutating func loseClassList(written: Set<String>) {
        report.uncarried.add(.unusedClasses, count: classes.count { !written.contains($0) })
        let kept = classes.filter(written.contains)
        if kept != sortedNames(kept) { report.uncarried.add(.classOrder) }
    }

    /// Writes all and gives the report.
    consuming func write(progress: (Int, Int) throws -> Void) throws -> WrittenDataSet {
        switch format {
        case .folders: try writeFolders(progress)
        case .csv: try writeTable(progress)
        case .coco: try writeCOCO(progress)
        case .yolo: try writeYOLO(progress)
        case .voc: try writeVOC(progress)
        case .createml: try writeCreateML(progress)
        case .labelstudio: try writeLabelStudio(progress)
        }
        report.imageCount = outputs.count
        if !hasClassOrder, [.yolo, .coco, .labelstudio].contains(format), classes.count > 1 {
            report.notes.append(
                "the set lists no classes: they are numbered in the order of their names")
        }
        if isDivided {
            for output in outputs {
                report.splits[output.image.split ?? .training, default: 0] += 1
            }
            let undivided = outputs.count { $0.image.split == nil }
            if undivided > 0 {
                report.notes.append(
                    "\(undivided) images of no split are written as training images")
            }
        }
        try folder.finish()
        return report
    }
}

extension AnnotatedImages {
    /// Writes the set to a new folder, which appears when all of it is there.
    ///
    /// ```swift
    /// let set = try AnnotatedImages.read("instances.json")
    /// let written = try set.write(to: "yolo", as: .yolo)
    /// ```
    ///
    /// - Throws: ``DataSetWritingError``, `ImageError` or `FileError`.
    public func write(
        to path: String, as format: DataSetFormat, images: ImagePlacement = .link,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> WrittenDataSet {
        guard format != .folders || images != .none else {
            throw DataSetWritingError.foldersWithoutImages
        }
        guard valueNames.isEmpty || format == .csv else {
            throw DataSetWritingError.values(path, format: format)
        }
        let hasBoxes = self.images.contains {
            $0.annotations.contains { $0.boundingBox != nil }
        }
        let hasLabels = self.images.contains { $0.annotations.contains(where: \.isWholeImage) }
        switch format {
        case .coco, .yolo, .voc, .createml:
            if hasLabels, !hasBoxes {
                throw DataSetWritingError.nothingToWrite(
                    path, format: format, found: "labels of whole images")
            }
        case .csv, .folders, .labelstudio: break
        }
        return try DataSetWriter(self, to: path, as: format, images: images).write(
            progress: progress)
    }

    /// Throws unless a set may be written to `path`: nothing is there, or an empty folder.
    package static func requireNew(_ path: String) throws { try DataSetFolder.requireNew(path) }

    /// The classes in the order of their numbers where they have some, and the others that occur.
    fileprivate func orderedClasses(_ occurring: Set<String>) -> [String] {
        let listed = Set(classes)
        let numbered =
            classes.allSatisfy { name in categories.values.contains(name) } && !classes.isEmpty
            ? categories.sorted { $0.key < $1.key }.map(\.value).filter(listed.contains) : classes
        var seen: Set<String> = []
        return (numbered + sortedNames(occurring)).filter { seen.insert($0).inserted }
    }
}

extension DataSplit {
    /// The name of its folder in most data sets.
    var short: String {
        switch self {
        case .training: "train"
        case .validation: "val"
        case .test: "test"
        }
    }
}

extension AnnotatedImage {
    /// The size as it is shown; read where it is not known.
    fileprivate var size: (width: Int, height: Int)? {
        if let width, let height { return (width, height) }
        guard !isMissing else { return nil }
        return (try? withBytes { try ImageHeader($0, name: path) }).map { ($0.width, $0.height) }
    }

    /// A file name that every tool takes: the last part of the image's name, with an extension.
    fileprivate var plainName: String {
        let last = name.split(separator: "/").last.map(String.init) ?? ""
        let base = [".", ".."].contains(last) || last.isEmpty ? "image" : last
        return base.withImageExtension(of: self)
    }

    /// A file name that tells the image's folders.
    fileprivate var longName: String {
        let parts = name.split(separator: "/").filter { $0 != "." && $0 != ".." }
        let text = parts.joined(separator: "_")
        return (text.utf8.count > 200 ? String(text.suffix(100)) : text).withImageExtension(
            of: self)
    }
}

extension String {
    fileprivate func withImageExtension(of image: AnnotatedImage) -> String {
        let lower = lowercased()
        if ContentKind.hasReadableExtension(lower) { return self }
        let kind = try? image.withBytes { ContentKind(sniffing: $0, name: image.name) }
        return self + "." + (kind?.extensions.first ?? "jpg")
    }

    /// `a.jpg` as `a-2.jpg`.
    fileprivate func numbered(_ number: Int) -> String {
        guard let dot = lastIndex(of: ".") else { return "\(self)-\(number)" }
        return self[..<dot] + "-\(number)" + self[dot...]
    }
}
