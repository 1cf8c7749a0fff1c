// A contact sheet as one image: thumbnails in rows, with outlines in the colours of the legend.

import GraftImages

extension ContactSheet {
    private static let columns = 5
    private static let cellWidth = 320
    private static let cellHeight = 240
    private static let captionHeight = 18
    private static let gap = 8
    /// An image of more pixels would fill the memory; what does not fit is named by a line.
    private static let maximumRowCount = 120

    /// The whole sheet as an image.
    func drawing() -> Image {
        let pitch = Self.cellWidth + Self.gap
        let width = Self.gap + Self.columns * pitch
        var rows: [[Entry]] = []
        var headings: [Int: String] = [:]
        for section in sections {
            if !section.name.isEmpty {
                let heading = heading(section.name, shown: section.entries.count)
                headings[rows.count] = "\(heading.name): \(heading.count)"
            }
            for start in stride(from: 0, to: section.entries.count, by: Self.columns) {
                let end = min(start + Self.columns, section.entries.count)
                rows.append(Array(section.entries[start..<end]))
            }
        }
        let kept = rows.prefix(Self.maximumRowCount)
        let legend = legendLines(width: width - 2 * Self.gap)
        let top = 30 + (facts.isEmpty ? 0 : 18) + legend.count * 18 + 8
        let rowHeight = Self.cellHeight + Self.captionHeight + Self.gap
        let sectionHeight = 26
        let headingCount = headings.keys.count { $0 < kept.count }
        let height =
            top + kept.count * rowHeight + headingCount * sectionHeight
            + (kept.count < rows.count ? 24 : 0) + Self.gap
        var image = Image(filling: .white, width, height)
        image.draw(ascii(title), x: Self.gap, y: 8, cell: 3, .black)
        var y = 30
        if !facts.isEmpty {
            image.draw(ascii(facts.joined(separator: ", ")), x: Self.gap, y: y, cell: 2, .black)
            y += 18
        }
        for line in legend {
            var x = Self.gap
            for (index, text) in line {
                image.fill(x: x, y: y, width: 12, height: 12, Image.ink(index))
                image.draw(text, x: x + 16, y: y + 1, cell: 2, .black)
                x += legendWidth(text)
            }
            y += 18
        }
        y = top
        for (index, row) in kept.enumerated() {
            if let heading = headings[index] {
                image.draw(ascii(heading), x: Self.gap, y: y + 6, cell: 3, .black)
                y += sectionHeight
            }
            for (column, entry) in row.enumerated() {
                draw(entry, into: &image, x: Self.gap + column * pitch, y: y)
            }
            y += rowHeight
        }
        if kept.count < rows.count {
            let left = rows[kept.count...].reduce(0) { $0 + $1.count }
            image.draw("\(left) more images are not shown", x: Self.gap, y: y + 4, cell: 3, .black)
        }
        return image
    }

    private func ascii(_ text: String) -> String {
        String(text.map { $0 == "·" ? "," : $0.isASCII ? $0 : "_" })
    }

    private func legendWidth(_ text: String) -> Int { 16 + text.count * 8 + 16 }

    /// The classes with their colours in lines of at most `width` pixels.
    private func legendLines(width: Int) -> [[(index: Int, text: String)]] {
        var lines: [[(index: Int, text: String)]] = []
        var filled = width
        for (index, name) in classes.enumerated() {
            let text = ascii(String(name.prefix(40)))
            if filled + legendWidth(text) > width || lines.isEmpty {
                guard lines.count < 12 else { break }
                lines.append([])
                filled = 0
            }
            lines[lines.count - 1].append((index, text))
            filled += legendWidth(text)
        }
        return lines
    }

    private func draw(_ entry: Entry, into sheet: inout Image, x: Int, y: Int) {
        let labels = entry.marks.filter { $0.box == nil && $0.polygons.isEmpty }.map(\.label)
        let words = ascii((labels + [entry.name, entry.caption]).joined(separator: " "))
        sheet.draw(
            String(words.prefix(Self.cellWidth / 8)), x: x, y: y + Self.cellHeight + 4, cell: 2,
            .black)
        guard let thumbnail = entry.thumbnail else {
            sheet.fill(
                x: x, y: y, width: Self.cellWidth, height: Self.cellHeight, Color(230, 230, 230))
            sheet.draw("not readable", x: x + 90, y: y + 114, cell: 3, .black)
            return
        }
        let share = min(
            Double(Self.cellWidth) / entry.width, Double(Self.cellHeight) / entry.height)
        let wide = max(1, Int((entry.width * share).rounded()))
        let high = max(1, Int((entry.height * share).rounded()))
        var cell = thumbnail.resized(width: wide, height: high, .bilinear)
        for mark in entry.marks {
            let ink = Image.ink(number(of: mark.label))
            for polygon in mark.polygons { cell.stroke(polygon.map { $0 * share }, ink: ink) }
            guard let box = mark.box else { continue }
            let scaled = Box(
                left: box.left * share, top: box.top * share, right: box.right * share,
                bottom: box.bottom * share)
            if let score = mark.score {
                cell.outline(scaled, saying: HTML.places(score, 2), ink)
            } else {
                cell.outline(
                    scaled, thickness: mark.isHighlighted ? 5 : mark.isDashed ? 1 : 2, ink)
            }
        }
        sheet.paste(
            cell, x: x + (Self.cellWidth - wide) / 2, y: y + (Self.cellHeight - high) / 2)
    }
}

extension Image {
    /// Copies another image over this one, with its top left corner at (x, y).
    fileprivate mutating func paste(_ image: Image, x: Int, y: Int) {
        for row in 0..<image.height where (0..<height).contains(y + row) {
            for column in 0..<image.width where (0..<width).contains(x + column) {
                self[x + column, y + row] = image[column, row]
            }
        }
    }

    /// Draws the closed line through these corners: x, y, x, y, …
    fileprivate mutating func stroke(_ corners: [Double], ink: Color) {
        let count = corners.count / 2
        guard count > 1, corners.allSatisfy(\.isFinite) else { return }
        let limit = Double(2 * max(width, height))
        let points = (0..<count).map { index in
            (x: corners[index * 2].clamped(to: limit), y: corners[index * 2 + 1].clamped(to: limit))
        }
        for (index, from) in points.enumerated() {
            let to = points[(index + 1) % count]
            let steps = max(1, Int(max(abs(to.x - from.x), abs(to.y - from.y)).rounded(.up)))
            for step in 0...steps {
                let share = Double(step) / Double(steps)
                let x = Int((from.x + (to.x - from.x) * share).rounded(.down))
                let y = Int((from.y + (to.y - from.y) * share).rounded(.down))
                fill(x: x, y: y, width: 2, height: 2, ink)
            }
        }
    }
}

extension Double {
    fileprivate func clamped(to limit: Double) -> Double { min(max(self, -limit), limit) }
}
