// Tables of boxes without names of columns: what the columns of each tool's are.

/// A tool's table of boxes whose first row is a box already.
enum Headless: CaseIterable {
    /// keras-retinanet and Roboflow: a path, four edges and a class.
    case retinaNet
    /// Make Sense: a class, a corner and a size, the name and the size of the image.
    case makeSense
    /// Google's AutoML: a split, a path, a class, and two or four corners as shares of the sides.
    case autoML

    /// The names that the columns get.
    var titles: [String] {
        switch self {
        case .retinaNet: ["path", "x1", "y1", "x2", "y2", "class"]
        case .makeSense:
            ["class", "x", "y", "width", "height", "path", "image_width", "image_height"]
        case .autoML:
            ["split", "path", "class", "x1", "y1", "", "", "x2", "y2", "", ""]
        }
    }

    /// What is said of the columns.
    var words: String {
        switch self {
        case .retinaNet:
            "a path, the left, top, right and bottom edges of a box, and a class"
        case .makeSense:
            "Make Sense writes them: a class, the left and top edge, width and height of a box, the image "
                + "and its size"
        case .autoML: "AutoML reads them: a split, a path, a class and the corners of a box"
        }
    }

    /// Whether every row is one of the tool's; an image without objects has empty fields.
    func fits(_ rows: [[String]]) -> Bool {
        func areNumbers(_ fields: ArraySlice<String>) -> Bool {
            fields.allSatisfy { Double($0) != nil }
        }
        return rows.allSatisfy { fields in
            guard fields.count == titles.count else { return false }
            switch self {
            case .retinaNet:
                return areNumbers(fields[1...4]) && Double(fields[5]) == nil
                    || fields[1...].allSatisfy(\.isEmpty)
            case .makeSense: return areNumbers(fields[1...4]) && areNumbers(fields[6...7])
            case .autoML:
                let box = [fields[3], fields[4], fields[7], fields[8]]
                return DataSplit(naming: fields[0]) != nil
                    && (areNumbers(box[...]) || fields[2...].allSatisfy(\.isEmpty))
            }
        }
    }
}
