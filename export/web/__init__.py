"""A web page that draws with an exported generator, in the browser alone."""
