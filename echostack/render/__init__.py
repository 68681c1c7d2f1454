"""Pictures and explanations of graphs and plans, as text and as images."""
