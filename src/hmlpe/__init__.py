"""HMLPE: does the detection task help the pose regression, and at what weight?"""
