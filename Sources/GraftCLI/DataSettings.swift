// The options that say how labelled images are read.

import ArgumentParser
import Graft
import GraftTensors
import GraftTraining

struct DataSettings: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "\(LearningTask.allCases.dropLast().map(\.rawValue).joined(separator: ", ")) or \(LearningTask.allCases.last?.rawValue ?? "").",
            discussion: """
                Without it, the names of a table's columns say which: see --columns. Embeddings are \
                learned from classes, detection, localization and segmentation from annotations.
                """),
        transform: choice)
    var task: LearningTask?
    @Option(
        help: ArgumentHelp(
            "Columns of a table by role, for example path=file,label=breed.",
            discussion: """
                Roles: path, label, labels, value, split, group, xmin, ymin, xmax, ymax, x, y, width, \
                height and bbox. A name without a role is a column of labels or values.
                """)) var columns: String?
    @Option(help: "Folder of the images that a table or a file of annotations names.")
    var folder: String?
    @Option(help: "Extension that the image names of a table leave out, for example jpg.")
    var `extension`: String?
    @Option(help: "Text between several labels in one field (default: | or ;).")
    var labelDelimiter: String?
    @Option(help: "Character between the fields of a table (default: found; tab for a tab).")
    var separator: String?
    @Option(
        help: "Keep images on one side of a split whose names are the same up to this text.")
    var group: String?
    @Flag(help: "Of images with boxes: an example for each box.") var crops = false
    @Flag(help: "Take the folders as classes, also those named train or test.")
    var classesAreFolders = false
    @Flag(help: "Follow links that lead out of the folder.") var followLinks = false
    @Option(
        help: ArgumentHelp(
            "Pixels that boxes of images with an EXIF orientation count: upright or stored.",
            discussion: "Without it, the recorded size of the image decides."),
        transform: choice)
    var boxesOn: BoxPixels?

    @Option(
        help: ArgumentHelp(
            "Number of the first pixel in Pascal VOC boxes: 0 or 1 (default: 1).",
            discussion: "Without it, a coordinate of 0 or a tool that counts from 0 decides."))
    var firstPixel: Int?

    private static let roles: Set<String> = [
        "path", "label", "labels", "value", "split", "group", "xmin", "ymin", "xmax", "ymax", "x",
        "y", "width", "height", "bbox",
    ]

    func validate() throws {
        if let separator, separator != "tab", separator.unicodeScalars.count != 1 {
            throw ValidationError("--separator takes one character or `tab`, found `\(separator)`")
        }
        if let firstPixel, ![0, 1].contains(firstPixel) {
            throw ValidationError("--first-pixel takes 0 or 1, found \(firstPixel)")
        }
        if labelDelimiter == "" {
            throw ValidationError("--label-delimiter takes a text, found an empty one")
        }
        for (role, _) in parts where role.map({ !Self.roles.contains($0) }) ?? false {
            throw ValidationError(
                "--columns has no role `\(role ?? "")`; the roles are "
                    + Self.roles.sorted().joined(separator: ", "))
        }
    }

    /// The columns with their roles.
    private var parts: [(role: String?, name: String)] {
        (columns ?? "").split(separator: ",").map { part in
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return pair.count == 2
                ? (pair[0].lowercased(), String(pair[1])) : (nil, String(part))
        }
    }

    var reading: PhotoReading {
        var reading = PhotoReading(task: task)
        for (role, name) in parts {
            if let role { reading.columnRoles[role] = name } else { reading.columns.append(name) }
        }
        reading.folder = folder
        reading.fileExtension = self.extension
        reading.labelDelimiter = labelDelimiter
        reading.separator = separator.flatMap { $0 == "tab" ? "\t" : $0.first }
        reading.groupBefore = group ?? ""
        reading.crops = crops
        reading.classesAreFolders = classesAreFolders
        reading.followsLinks = followLinks
        reading.boxesOn = boxesOn
        reading.firstPixel = firstPixel
        return reading
    }

    /// Says on stderr what was left out of a set, what was assumed and how it is divided.
    static func say(of photos: PhotoFolder) {
        for remark in photos.remarks {
            Terminal.say("warning: left out \(DataArchive.shown(remark))")
        }
        sayNotes(of: photos)
    }

    /// Says on stderr what was assumed of a set and how it is divided.
    static func sayNotes(of photos: PhotoFolder) {
        for note in photos.notes { Terminal.say("note: \(DataArchive.shown(note))") }
        for note in [photos.division, photos.loneClasses].compactMap(\.self) {
            Terminal.say("note: \(note)")
        }
    }
}
