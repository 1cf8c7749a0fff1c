// Opening labelled photos, however they are written down.

import GraftTensors

/// How labelled photos are read, where their files leave it open.
public struct PhotoReading: Sendable, Hashable {
    /// What is to be learned; nil is what the files suggest.
    public var task: LearningTask?
    /// The columns of a table that hold labels or numbers; empty is by their names.
    public var columns: [String] = []
    /// Photos are of one group whose names are the same up to this text; empty makes no groups.
    public var groupBefore = ""
    /// Of annotated photos, makes an example of each box instead of one of each photo.
    public var crops = false

    /// The columns of a table by what they hold: `path`, `label`, `split`, `group`, `xmin` and others.
    public var columnRoles: [String: String] = [:]
    /// The folder that the paths of a table or a file of annotations start from.
    public var folder: String?
    /// The extension that the names of a table leave out.
    public var fileExtension: String?
    /// The text between several labels in one field.
    public var labelDelimiter: String?
    /// The character between the fields of a table; nil finds it.
    public var separator: Character?
    /// Takes the folders of a folder as classes whatever their names and contents.
    public var classesAreFolders = false
    /// Follows links that lead out of a folder.
    public var followsLinks = false
    /// The pixels that boxes were drawn on; nil decides by the recorded size of the image.
    public var boxesOn: BoxPixels?
    /// The number of the first pixel in Pascal VOC's boxes, 0 or 1; nil is as the files suggest.
    public var firstPixel: Int?

    /// What the task needs of each image; nil is what the files suggest.
    var labelling: Labelling? { task?.traits.labelling }

    /// Whether outlines and masks are reduced to boxes.
    var reducesToBoxes: Bool { task?.traits.reducesToBoxes == true }

    /// The links that are followed in folders.
    var links: FolderListing.Links { followsLinks ? .all : .inside }

    /// As the files suggest.
    public init(task: LearningTask? = nil) { self.task = task }
}

/// The pixels that annotations of an image with an EXIF orientation count.
public enum BoxPixels: String, Sendable, Hashable, CaseIterable {
    /// The image as it is shown.
    case upright
    /// The image as it is stored, before its orientation is applied.
    case stored
}

extension PhotoFolder {
    /// Labelled images at `path`: a folder with a folder of images for each class, a table, a file or
    /// folder of annotations as ``AnnotatedImages/read(_:_:)`` takes them, or an archive of one of
    /// these. What may be read but not learned from, such as a single class, is
    /// ``requireForTraining()``'s to refuse.
    ///
    /// - Throws: ``PhotoFolderError``, ``PhotoTableError``, ``AnnotationError``, ``DataSetError``,
    ///   `DocumentError`, `FormatError` or `FileError`.
    public static func open(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        let photos: PhotoFolder
        switch try OpenedData(path, reading) {
        case .annotated(let images): photos = try images.photos(path, reading)
        case .labelled(let found):
            if let asked = reading.task, asked.traits.needsObjects {
                throw PhotoFolderError.otherTask(
                    path, expected: asked, found: found.labelling.usualTask)
            }
            photos = found
        }
        if let asked = reading.task, asked.traits.labelling != photos.labelling {
            throw PhotoFolderError.otherTask(
                path, expected: asked, found: photos.labelling.usualTask)
        }
        return photos.grouped(reading.groupBefore)
    }

    /// Whether labels at `path` stand in the columns of a table.
    package static func isTable(_ path: String) -> Bool {
        TextTable.extensions.contains(GraftTraining.fileExtension(path))
            || ["metadata.csv", "metadata.jsonl"].contains { isFile(path + "/" + $0) }
    }

    /// Photos whose names begin alike, up to `separator`, as groups.
    private func grouped(_ separator: String) -> PhotoFolder {
        guard !separator.isEmpty else { return self }
        return with(
            items: items.map { item in
                var item = item
                let name = item.relativePath.split(separator: "/").last ?? ""
                item.group = String(name.split(separator: separator, maxSplits: 1).first ?? name)
                return item
            })
    }

    /// The same set with other images.
    package func with(items: [Item]) -> PhotoFolder {
        var result = PhotoFolder(path: path, classes: classes, items: items, labelling: labelling)
        result.remarks = remarks
        result.notes = notes
        return result
    }
}
